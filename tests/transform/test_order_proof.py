"""Aggregates don't depend on luck: whatever happens on the way, the tables are those of one clean build, row for row.

A hundred cases run side by side in one warehouse, so that one refresh advances them all. Each has people and a day of
its own, and its own order, delays, repeats, splits, voids and erasures; refreshes fall between them at random.
"""

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest

from orchestration.warehouse import marks
from tests.transform import histories
from tests.transform.histories import Case

CASES, ROUNDS = 100, 6
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]
FIRST_DAY = date(2025, 1, 20)  # a hundred days on, the clocks of all these zones have changed


def make_cases(rng: random.Random, zone: ZoneInfo) -> list[Case]:
    far = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC) - timedelta(days=400)
    return [
        histories.case(rng, number, FIRST_DAY + timedelta(days=number), far + timedelta(hours=number), zone, ROUNDS)
        for number in range(CASES)
    ] + [last_event()]


def last_event() -> Case:
    """The newest event of all is nobody's who is erased: what was final because of such a one's stays final."""
    after = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, 12, tzinfo=UTC) + timedelta(days=CASES + 1)
    event = {
        "event_id": "last",
        "event_type": "page_viewed",
        "occurred_at": after.isoformat(),
        "user_id": "last",
        "properties": {},
    }
    return Case([event], [(ROUNDS - 1, event)])


def loads_of_round(rng: random.Random, cases: list[Case], number: int) -> list[list[dict]]:
    """What arrives in a round, shuffled over all cases and cut into loads at random."""
    arriving = [event for case in cases for when, event in case.arrivals if when == number]
    rng.shuffle(arriving)
    cuts = sorted(rng.sample(range(1, len(arriving)), rng.randrange(4)))
    return [arriving[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(arriving)], strict=True)]


def refresh_somehow(rng: random.Random, dbt, connection: psycopg.Connection) -> None:
    """A refresh as they happen: to the newest load, to an earlier one, one that a gate stopped, or none at all."""
    (newest,) = connection.execute("select max(load_id) from raw.loads").fetchone()
    connection.rollback()
    match rng.choice(["whole", "whole", "behind", "stopped", "none", "rebuild"]):
        case "whole":
            dbt.build("staging marts published", newest)
        case "behind":
            dbt.build("staging marts published", max(newest - rng.randrange(1, 4), 0))
        case "stopped":
            dbt.build("staging marts", newest)
        case "rebuild":
            begin = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=rng.randrange(60))
            marks.touch_hours(connection, begin, begin + timedelta(days=rng.randrange(1, 60)))
            connection.commit()
            dbt.build("staging marts published", newest + 1)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(1, 10))])
def test_any_history_gives_the_tables_of_one_clean_build(dbt, tenant_in, tmp_path, seed):
    rng, zone = random.Random(seed), ZONES[seed % len(ZONES)]
    connection = tenant_in(zone)
    cases = make_cases(rng, ZoneInfo(zone))
    for number in range(ROUNDS):
        histories.ingest(tmp_path / "arriving", loads_of_round(rng, cases, number))
        refresh_somehow(rng, dbt, connection)
        for user in (user for case in cases for when, user in case.erasures if when == number):
            histories.erase(connection, user)
        connection.commit()
    (newest,) = connection.execute("select max(load_id) from raw.loads").fetchone()
    connection.rollback()
    dbt.build("staging marts published", newest)
    assert histories.marks_of(connection) == {newest}
    histories.keep(connection)

    standing = histories.survivors(cases, ROUNDS)
    assert connection.execute("select distinct reason, detail from raw.quarantine").fetchall() == []
    stored = {event for (event,) in connection.execute("select event_id from raw.events")}
    assert stored == set(standing)
    connection.execute(
        """truncate raw.events, raw.identities, raw.voids, raw.loads, ops.definitions, ops.tidemarks
           restart identity cascade"""
    )
    connection.commit()
    histories.ingest(tmp_path / "clean", [histories.counting(standing)])
    dbt.build("staging marts published", newest + 1)
    differing = histories.differences(connection)
    assert not differing, "\n".join(differing)
    rows = connection.execute("select count(*), count(distinct hour) from marts.metric_hourly").fetchone()
    assert rows > (CASES * 20, CASES * 5)
