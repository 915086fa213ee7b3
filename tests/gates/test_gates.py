"""What a gate judges, when, and what it leaves behind."""

import csv
import gzip
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from expectations import suites
from orchestration.errors import TidemarkError
from orchestration.gates import gates
from orchestration.gates.gates import changed_rows, gate_name, judge
from orchestration.warehouse import marks
from tests.gates.conftest import lesson, load

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LESSONS = suites()["staging.stg_lessons"]
GATE = gate_name(LESSONS.table)


def held(connection: psycopg.Connection) -> list[tuple]:
    query = "select table_name, load_id, passed_load_id, sentence from ops.held_tables"
    return connection.execute(query).fetchall()


def lessons(day: int, scores: list[float]) -> list[dict]:
    return [lesson(NOON + timedelta(days=day, minutes=2 * n), score) for n, score in enumerate(scores)]


def test_a_gate_that_passes_moves_its_mark_and_stores_what_it_saw(connection):
    load(connection, 1, lessons(0, [50] * 30) + lessons(1, [80]))
    result = judge(connection, LESSONS, "run-1")
    assert (result.status, result.rows) == ("passed", 31)
    assert marks.mark(connection, GATE) == 1
    row = connection.execute(
        """select table_name, run_id, load_id, status, hours_checked, rows_checked,
                  (select array_agg((one ->> 'success')::boolean) from jsonb_array_elements(results) as one)
           from ops.gate_results"""
    ).fetchall()
    assert row == [("staging.stg_lessons", "run-1", 1, "passed", 2, 31, [True] * 2)]


def test_with_nothing_touched_nothing_is_judged(connection, monkeypatch):
    load(connection, 1, lessons(0, [50]))
    judge(connection, LESSONS, "run-1")
    monkeypatch.setattr(gates, "validate", lambda *_: pytest.fail("nothing changed"))
    assert judge(connection, LESSONS, "run-2") is None
    assert connection.execute("select count(*) from ops.gate_results").fetchone() == (1,)


def test_a_failed_gate_holds_until_its_rows_are_mended(connection):
    load(connection, 1, lessons(0, [50] * 30))
    judge(connection, LESSONS, "run-1")
    load(connection, 2, lessons(1, [140] * 12 + [60] * 18))
    connection.commit()
    assert judge(connection, LESSONS, "run-2").status == "failed"
    connection.commit()
    said = "staging.stg_lessons: 40.0 % of the 30 lessons of 2026-03-03 cannot be true and are held (allowed: 20 %)"
    assert held(connection) == [("staging.stg_lessons", 2, 1, said)]
    since = connection.execute("select since from ops.held_tables").fetchone()

    load(connection, 3, lessons(5, [50]))  # a later run, with good news of another day, judges the bad day again
    assert judge(connection, LESSONS, "run-3").status == "failed"
    connection.commit()
    assert held(connection) == [("staging.stg_lessons", 3, 1, said)]
    assert connection.execute("select since from ops.held_tables").fetchone() == since

    mended = """update raw.events set properties = properties || '{"score": 70}'
                where (properties ->> 'score')::numeric > 100"""
    connection.execute(mended)
    connection.commit()
    result = judge(connection, LESSONS, "run-4")
    assert (result.status, result.rows) == ("passed", 31)
    assert marks.mark(connection, GATE) == 3
    assert held(connection) == []


def test_the_outcome_of_a_failure_is_kept_whatever_happens_after_its_block(connection, warehouse):
    load(connection, 1, lessons(0, [140] * 30))
    with psycopg.connect(warehouse) as other:
        judge(other, LESSONS, "run-1")
    assert [row[:3] for row in held(connection)] == [("staging.stg_lessons", 1, 0)]


def test_a_warning_moves_the_mark(connection):
    load(connection, 1, lessons(0, [50] * 200 + [101]))
    assert judge(connection, LESSONS, "run-1").status == "warned"
    assert marks.mark(connection, GATE) == 1
    assert held(connection) == []


def test_a_run_judges_up_to_its_high_mark_however_late_it_does(connection):
    load(connection, 1, lessons(0, [50]))
    marks.high_mark(connection, "run-1")
    connection.commit()
    load(connection, 2, lessons(9, [140] * 30))
    assert judge(connection, LESSONS, "run-1").rows == 1
    assert marks.mark(connection, GATE) == 1


def test_a_day_that_is_poisoned_hour_by_hour_is_judged_whole(connection):
    """Six bad scores an hour are too few to fail; with the fourth hour, the day has enough."""
    statuses = []
    for hour in range(4):
        bad = [lesson(NOON + timedelta(hours=hour, minutes=n), 140) for n in range(6)]
        load(connection, hour + 1, bad)
        statuses.append(judge(connection, LESSONS, f"run-{hour}").status)
        connection.commit()
    assert statuses == ["warned", "warned", "warned", "failed"]


def test_hours_of_which_nothing_is_left_pass_unseen(connection, monkeypatch):
    load(connection, 1, lessons(0, [140] * 30))
    connection.execute("delete from raw.events")
    connection.commit()
    monkeypatch.setattr(gates, "validate", lambda *_: pytest.fail("nothing is left to judge"))
    result = judge(connection, LESSONS, "run-1")
    assert (result.status, result.rows, marks.mark(connection, GATE)) == ("passed", 0, 1)


def test_a_table_that_is_not_built_is_an_error_and_moves_nothing(connection):
    load(connection, 1, lessons(0, [50]))
    with pytest.raises(TidemarkError, match=r"staging\.stg_requests cannot be judged"):
        judge(connection, suites()["staging.stg_requests"], "run-1")
    connection.rollback()
    assert connection.execute("select count(*) from ops.gate_results").fetchone() == (0,)


def judged(connection: psycopg.Connection, table: str, after: int, high: int, zone: str) -> list[tuple]:
    return sorted(connection.execute(changed_rows(suites()[table], after, high, zone)).fetchall())


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York"])
def test_raw_rows_are_those_of_the_touched_hours(connection, zone):
    """Every ten minutes over the changes of clocks of spring: judged is what lies in the hours of the load, no more."""
    connection.execute("update ops.tenant set timezone = %s", [zone])
    moments = [datetime(2026, 3, 28, tzinfo=UTC) + timedelta(minutes=10 * n) for n in range(3 * 144)]
    moments += [datetime(2026, 4, 4, 12, tzinfo=UTC) + timedelta(minutes=10 * n) for n in range(144)]
    load(connection, 1, [lesson(moment, 50) for moment in moments])
    chosen = moments[::25]
    load(connection, 2, [lesson(moment, 60) for moment in chosen])
    found = {row[1] for row in judged(connection, "raw.events", 1, 2, zone)}
    hours = "select ops.hour_of(occurred_at, %s) from raw.events where load_id = 2"
    meant = connection.execute(
        f"select event_id from raw.events where ops.hour_of(occurred_at, %s) in ({hours})", [zone, zone]
    ).fetchall()
    assert found == {name for (name,) in meant}


def test_staged_rows_are_those_of_the_whole_days_of_the_tenant(connection):
    connection.execute("update ops.tenant set timezone = 'Europe/Berlin'")
    edges = [
        datetime(2026, 3, 28, 22, 59, tzinfo=UTC),
        datetime(2026, 3, 28, 23, 0, tzinfo=UTC),  # the 29th begins, and has 23 hours
        datetime(2026, 3, 29, 21, 59, tzinfo=UTC),
        datetime(2026, 3, 29, 22, 0, tzinfo=UTC),
    ]
    load(connection, 1, [lesson(moment, n) for n, moment in enumerate(edges)])
    load(connection, 2, [lesson(datetime(2026, 3, 29, 12, tzinfo=UTC), 99)])
    rows = judged(connection, "staging.stg_lessons", 1, 2, "Europe/Berlin")
    assert [moment for moment, _ in rows] == [edges[1], datetime(2026, 3, 29, 12, tzinfo=UTC), edges[2]]


def test_figures_are_those_of_the_touched_hours_and_of_those_that_changed_with_them(connection):
    connection.execute(
        """insert into marts.metric_hourly
           select 'events', 'all', timestamptz '2026-03-02 20:00Z' + n * interval '1 hour', n
           from generate_series(0, 9) as n"""
    )
    days = [(date(2026, 3, 1) + timedelta(days=n)) for n in range(4)]
    for day in days:
        connection.execute("insert into marts.metric_daily values ('events', 'all', %s, 1)", [day])
    load(connection, 1, [lesson(datetime(2026, 3, 2, 23, 30, tzinfo=UTC), 50)])
    connection.execute("insert into ops.ripples values (1, '2026-03-03 00:00Z')")
    hours = judged(connection, "marts.metric_hourly", 0, 1, "UTC")
    assert [value for *_, value in hours] == [3, 4]
    assert [day for _, _, day, _ in judged(connection, "marts.metric_daily", 0, 1, "UTC")] == days[1:3]


def test_only_the_partitions_of_the_touched_hours_are_read(connection):
    connection.execute("drop table raw.events_all")
    for day in range(1, 29):
        connection.execute(
            f"""create table raw.events_{day} partition of raw.events
                for values from ('2026-02-{day:02}Z') to (timestamptz '2026-02-{day:02}Z' + interval '1 day')"""
        )
    many = [lesson(datetime(2026, 2, 1 + n % 28, n % 24, tzinfo=UTC), 50) for n in range(2800)]
    load(connection, 1, many)
    load(connection, 2, [lesson(datetime(2026, 2, 7, 5, tzinfo=UTC), 50)])
    connection.execute("analyze raw.events")
    for table in ("raw.events", "staging.stg_lessons"):
        rows = changed_rows(suites()[table], 1, 2, "UTC")
        plan = "\n".join(line for (line,) in connection.execute(f"explain (analyze, costs off) {rows}"))
        read = [line for line in plan.splitlines() if " on events_" in line and "never executed" not in line]
        assert len(read) == 1 and "events_7" in read[0], plan


@pytest.fixture
def forecasts(connection):
    """Inserts a forecast of three days made at a load."""
    connection.execute(
        """insert into ml.models (model_id, name, version, stage, metrics, load_id, data_hash, parameters, libraries)
           values ('m-1', 'm', 1, 'serving', '{}', 1, '', '{}', '{}')"""
    )

    def insert(load_id: int, hi_80: float) -> None:
        connection.execute(
            """insert into ml.forecasts (series_id, ds, yhat, lo_80, hi_80, lo_95, hi_95, model_id, load_id)
               select 'revenue', timestamptz '2026-03-02Z' + n * interval '1 day', 10, 9, %s, 8, 12, 'm-1', %s
               from generate_series(0, 2) as n""",
            [hi_80, load_id],
        )
        connection.commit()

    return insert


def test_of_predictions_the_newest_are_judged(connection, forecasts):
    suite = suites()["ml.forecasts"]
    assert judge(connection, suite, "run-0") is None
    connection.commit()
    forecasts(4, hi_80=9.5)  # below the forecast
    assert judge(connection, suite, "run-1").status == "failed"
    connection.commit()
    assert held(connection) == [
        ("ml.forecasts", 4, 0, "ml.forecasts: 3 intervals of revenue are not nested around the forecast, "
         "the first for 2026-03-02 00:00 UTC")
    ]  # fmt: skip
    forecasts(5, hi_80=11)
    result = judge(connection, suite, "run-2")
    assert (result.status, result.rows, marks.mark(connection, gate_name("ml.forecasts"))) == ("passed", 3, 5)
    assert held(connection) == []


def test_several_faults_are_one_sentence_of_a_held_table(connection):
    bad = {"event_type": "order_line_recorded", "order_id": "o", "quantity": 0, "price": -1, "currency": "EUR"}
    load(connection, 1, [bad | {"occurred_at": NOON} for _ in range(20)])
    judge(connection, suites()["staging.stg_order_lines"], "run-1")
    ((*_, sentence),) = held(connection)
    assert sentence == (
        "staging.stg_order_lines: 100.0 % of the 20 order lines of 2026-03-02 have a price that is missing or negative "
        "(allowed: 1 %); "
        "100.0 % of the 20 order lines of 2026-03-02 have a quantity that is missing or zero (allowed: 1 %)"
    )


def invoice_lines(path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as file:
        return [
            {
                "event_type": "order_line_recorded",
                "occurred_at": datetime.fromisoformat(row["InvoiceDate"]).replace(tzinfo=UTC),
                "order_id": row["InvoiceNo"],
                "quantity": int(row["Quantity"]),
                "price": float(row["UnitPrice"]),
                "currency": "GBP",
            }
            for row in csv.DictReader(file)
        ]


def test_real_invoices_pass_with_their_returns_gifts_and_bad_debts(connection, data):
    """2011-08-12 holds the only two negative prices of the year: a few, so a warning."""
    folder = data / "online-retail" / "by-day"
    lines = [line for day in ("2010-12-01", "2011-08-12") for line in invoice_lines(folder / f"{day}.csv.gz")]
    assert any(line["quantity"] < 0 for line in lines) and any(line["price"] == 0 for line in lines)
    load(connection, 1, lines)
    assert judge(connection, suites()["raw.events"], "run-1").status == "passed"
    connection.commit()
    result = judge(connection, suites()["staging.stg_order_lines"], "run-1")
    assert result.sentences == [
        f"staging.stg_order_lines: 2 of {len(lines):,} values of price are below 0, such as -11062.06, -11062.06"
    ]
    assert (result.status, result.rows) == ("warned", len(lines))
