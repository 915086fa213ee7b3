"""A refresh that is killed between two models: the next one leaves the tables as if it had never been."""

import os
import random
import signal
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest

from tests.transform import histories

ZONE = "America/New_York"


def newest(connection: psycopg.Connection) -> int:
    (load_id,) = connection.execute("select max(load_id) from raw.loads").fetchone()
    connection.rollback()
    return load_id


def build_killed(dbt, high_mark: int, before: int) -> None:
    """Build in a process of its own that is killed, as by kill -9, when it is about to begin model number `before`."""
    from dbt.task.run import ModelRunner

    process = os.fork()
    if process == 0:
        execute, begun = ModelRunner.execute, iter(range(1, before + 1))

        def execute_or_die(*arguments):
            if next(begun, None) == before:
                os.kill(os.getpid(), signal.SIGKILL)
            return execute(*arguments)

        ModelRunner.execute = execute_or_die
        try:
            dbt.build("staging marts published", high_mark)
        finally:
            os._exit(1)
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("points", [2, pytest.param(1000, marks=pytest.mark.nightly)])
def test_a_refresh_killed_between_two_models_is_made_good_by_the_next(dbt, tenant_in, tmp_path, points):
    rng, zone = random.Random(points), ZoneInfo(ZONE)
    connection = tenant_in(ZONE)
    first = date(2025, 2, 1)
    cases = iter(
        histories.case(
            rng, number, first + timedelta(days=number), datetime(2024, 1, 1, number % 24, tzinfo=zone), zone, 1
        )
        for number in range(1000)
    )

    def load() -> int:
        """Events of a day of their own, so that what goes wrong with them stays wrong."""
        histories.ingest(tmp_path, [[event for _, event in next(cases).arrivals]])
        return newest(connection)

    models = len(dbt.build("staging marts published", load()))
    for before in sorted(rng.sample(range(2, models + 1), min(points, models - 1))):
        behind, high_mark = newest(connection), load()
        build_killed(dbt, high_mark, before)
        assert histories.marks_of(connection) <= {behind, high_mark}
        dbt.build("staging marts published", high_mark)
        assert histories.marks_of(connection) == {high_mark}
    histories.keep(connection)
    connection.execute("truncate ops.definitions, ops.tidemarks")
    connection.commit()
    dbt.build("staging marts published", high_mark)
    differing = histories.differences(connection)
    assert not differing, "\n".join(differing)
