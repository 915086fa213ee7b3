"""The default rules over a simulated quarter: what was planted is told within its bound, and little else."""

from datetime import timedelta

import pytest

from orchestration import demo
from orchestration.simulate.truth import Incident, Truth
from orchestration.warehouse import database, server

BOUND = timedelta(hours=12)  # after its beginning: small shops tell by some hours only
WEEKS = demo.DAYS / 7


def belongs(row: dict, planted: Incident) -> bool:
    """Whether an incident is about what was planted, or about what that moved too."""
    end = row["resolved_hour"] or planted.end or row["opened_hour"]
    begins_in_time = row["opened_hour"] <= planted.start + BOUND
    return (
        row["metric"] in (planted.metric, *planted.moves_too)
        and begins_in_time
        and end >= planted.start
        and (planted.end is None or row["opened_hour"] < planted.end)
    )


def missed_and_false(rows: list[dict], truth: Truth) -> tuple[list[Incident], list[dict]]:
    """What was planted and not told, and what was told and not planted."""
    missed = [planted for planted in truth.incidents if not any(belongs(row, planted) for row in rows)]
    return missed, [row for row in rows if not any(belongs(row, planted) for planted in truth.incidents)]


@pytest.mark.nightly
def test_all_that_was_planted_is_told_and_at_most_one_false_alert_a_week(home):
    demo.run(lambda step: None)
    try:
        with database.connect(rows=True) as connection:
            rows = connection.execute("select * from ops.incidents order by opened_hour").fetchall()
        missed, false = missed_and_false(rows, Truth.read(home / "demo"))
        assert missed == []
        assert len(false) <= WEEKS, false
    finally:
        server.stop((home / "postgres").resolve())
        database.forget()
