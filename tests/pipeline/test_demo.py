"""The main job: what the simulation planted comes out at the other end, exactly, once, and held back when poisoned."""

import json
from datetime import timedelta

import psycopg
import pytest

from orchestration import demo, instance, summary
from orchestration.simulate.truth import Truth
from orchestration.warehouse import database, marks
from tests.pipeline.conftest import SECRET


@pytest.fixture
def truth(pipeline) -> Truth:
    return Truth.read(pipeline.home / "demo")


def rows(query: str, *values) -> list[dict]:
    with database.connect(rows=True) as connection:
        return connection.execute(query, values or None).fetchall()


def test_every_record_is_accounted_for(pipeline, truth):
    events = pipeline.result["events"]
    assert events["received"] == truth.lines
    assert events["loaded"] == sum(truth.events.values())
    assert events["duplicate"] == truth.duplicates
    assert events["quarantined"] == sum(truth.broken.values())
    assert events["suppressed"] == 0


def test_orders_and_revenue_of_every_day_are_those_of_the_truth_to_the_cent(pipeline, truth):
    published = rows(
        """select day, sum(value) filter (where metric = 'orders') as orders,
                  sum(value) filter (where metric = 'revenue') as revenue
           from api.metric_daily where segment = 'all' and metric in ('orders', 'revenue') group by day order by day"""
    )
    assert {row["day"]: (row["orders"] or 0, row["revenue"]) for row in published} == {
        day.date: (day.orders, day.revenue) for day in truth.days if day.orders or day.revenue
    }


def test_every_gate_was_judged_and_none_failed(pipeline):
    gates = pipeline.result["gates"]
    assert gates["failed"] == 0
    assert gates["passed"] + gates["warned"] >= 8


def test_models_are_registered_with_their_score_beside_a_baseline(pipeline):
    models = {model["name"]: model["metrics"] for model in pipeline.result["models"]}
    assert len(models) >= 3
    for metrics in models.values():
        assert metrics["value"] > 0
        assert metrics["baseline"] > 0
        assert metrics["baseline_name"]


def test_revenue_is_forecast_from_the_first_day_that_is_not_final(pipeline):
    forecasts = rows("select * from api.forecasts where series_id = 'revenue' order by ds")
    newest = rows("select max(day) as day from api.metric_daily where is_final")[0]["day"]
    assert len(forecasts) == 28
    assert forecasts[0]["ds"].date() == newest + timedelta(days=1)
    for row in forecasts:
        assert row["lo_95"] <= row["lo_80"] <= row["yhat"] <= row["hi_80"] <= row["hi_95"]


def test_planted_incidents_are_found(pipeline, truth):
    planted = next(incident for incident in truth.incidents if incident.end is None)
    found = rows("select * from ops.incidents where metric = %s and status = 'open'", planted.metric)
    assert found
    assert min(row["opened_hour"] for row in found) >= planted.start


def test_the_report_is_there_and_went_through_the_outbox(pipeline):
    from pypdf import PdfReader

    text = " ".join(page.extract_text() for page in PdfReader(pipeline.result["report"]).pages)
    assert "revenue" in text.lower()
    assert pipeline.result["outbox"]["pending"] == 0
    sent = rows("select * from ops.outbox where topic = 'report executive'")
    assert [row["status"] for row in sent] == ["sent"] * len(sent) != []
    assert list((pipeline.home / "outbox").glob("*.eml"))


def test_a_second_run_loads_nothing_twice(pipeline):
    before = rows("select metric, segment, day, value from api.metric_daily order by 1, 2, 3")
    again = demo.run(lambda step: None)
    assert again["events"]["received"] == 0
    assert again["events_stored"] == pipeline.result["events_stored"]
    assert rows("select metric, segment, day, value from api.metric_daily order by 1, 2, 3") == before


def test_rebuilding_a_range_mends_it_and_leaves_the_rest(pipeline, truth):
    query = "select metric, segment, hour, value, is_final from api.metric_hourly order by 1, 2, 3"
    right = rows(query)
    start, end = truth.start + timedelta(days=10), truth.start + timedelta(days=11)
    with database.connect() as connection:
        connection.execute("delete from marts.shop_hourly where hour >= %s and hour < %s", [start, end])
        connection.execute("update views.metric_hourly set value = 0 where hour >= %s and hour < %s", [start, end])
    span = {"rebuild_from": start.isoformat(), "rebuild_to": end.isoformat()}
    assert instance.execute("rebuild", {"raw__events": span}).success
    assert rows(query) == right


def test_the_summary_is_one_json_document(pipeline, capsys):
    from orchestration import console

    console.show(pipeline.result, True, console.demo)
    assert json.loads(capsys.readouterr().out)["events"] == pipeline.result["events"]
    console.show(pipeline.result, False, console.demo)
    assert f"{pipeline.result['events']['received']:,} received" in capsys.readouterr().out


@pytest.fixture
def poisoned(pipeline, tmp_path, truth):
    """A day of impossible scores, right after the last; taken out again afterwards."""
    day = truth.end + timedelta(hours=-2)
    lines = [
        json.dumps(
            {
                "event_id": f"poison-{number}",
                "event_type": "lesson_completed",
                "occurred_at": (day + timedelta(seconds=number)).isoformat(),
                "user_id": f"user-{number:06}",
                "properties": {"skill": "grammar", "score": 140, "duration_seconds": 60},
            }
        )
        for number in range(300)
    ]
    (tmp_path / "poison.jsonl").write_text("\n".join(lines))
    yield tmp_path / "poison.jsonl"
    with database.connect() as connection:
        connection.execute("delete from raw.events where event_id like 'poison-%'")
        marks.touch_hours(connection, day - timedelta(hours=3), day + timedelta(hours=3))
    assert instance.execute("refresh", {"raw__events": {"source": "native", "paths": []}}).success


def test_a_poisoned_day_stops_at_its_gate_and_what_was_published_stays_readable(pipeline, poisoned):
    path = poisoned
    published = rows("select * from api.metric_hourly order by metric, segment, hour")
    built = rows("select * from marts.learning_hourly order by hour, skill")

    done = summary.of_run(instance.execute("refresh", {"raw__events": {"source": "native", "paths": [str(path)]}}))
    assert not done["success"]
    assert done["gates"]["failed"] == 1
    assert [held["table_name"] for held in done["held"]] == ["staging.stg_lessons"]
    assert "lessons" in done["held"][0]["sentence"]
    assert rows("select * from marts.learning_hourly order by hour, skill") == built
    assert rows("select * from api.metric_hourly order by metric, segment, hour") == published

    later = summary.of_run(instance.execute("refresh", {"raw__events": {"source": "native", "paths": []}}))
    assert not later["success"], "the gate must hold in later runs, too"

    assert instance.execute("alerts").success
    incidents = rows("select * from ops.incidents where rule = 'gate' and status = 'open'")
    assert len(incidents) == 1
    assert instance.execute("report", {"send_report": {"name": "executive", "to": ["held@example.com"]}}).success
    mail = rows("select mime from ops.outbox where recipient = 'held@example.com' order by created_at")[-1]["mime"]
    import email
    import email.policy

    text = email.message_from_bytes(mail, policy=email.policy.default).get_body(("plain",)).get_content()
    assert "held" in text.lower()
    assert "stg_lessons" in text


def test_after_the_poison_is_gone_everything_catches_up(pipeline):
    assert rows("select * from ops.held_tables") == []
    behind = rows("select table_name from ops.tidemarks where load_id < (select max(load_id) from raw.loads) "
                  "and table_name like 'marts.%'")  # fmt: skip
    assert behind == []


def test_struggling_learners_and_abandoned_rooms_are_those_of_the_truth_and_no_others(pipeline, truth):
    with database.connect() as connection:
        struggling = connection.execute("select user_id from api.learners where is_struggling order by 1").fetchall()
        abandoned = connection.execute("select room_id from api.rooms where state = 'abandoned' order by 1").fetchall()
    assert [user for (user,) in struggling] == truth.struggling_learners
    assert [room for (room,) in abandoned] == truth.abandoned_rooms


def test_oversold_products_and_split_sellers_are_those_of_the_truth_and_no_others(pipeline, truth):
    oversold = rows(
        """select product_id, min(oversold_at) as since from marts.product_daily
           where oversold_at is not null group by 1 order by 1"""
    )
    assert oversold == [one.model_dump() for one in truth.oversold_products] != []
    split = rows("select distinct seller_id from api.transaction_faults where fault = 'split' order by 1")
    assert [row["seller_id"] for row in split] == truth.split_sellers != []


def test_cohorts_and_funnels_are_those_of_the_truth_and_no_others(pipeline, truth):
    came = rows(
        """select cohort_date, (start_date - cohort_date) / 7 as later, count(*) as users from marts.user_states
           where grain = 'week' and state <> 'dormant' group by 1, 2"""
    )
    told = {
        (cohort.week, later): users for cohort in truth.cohorts for later, users in enumerate(cohort.users) if users
    }
    assert {(row["cohort_date"], row["later"]): row["users"] for row in came} == told
    assert len(truth.cohorts) > 10
    complete = rows("select cohort_date, periods_later, users, cohort_users from api.retention where grain = 'week'")
    assert len(complete) > 60
    for row in complete:
        assert told[row["cohort_date"], row["periods_later"]] == row["users"]
        assert told[row["cohort_date"], 0] == row["cohort_users"]

    reached = rows(
        """select funnel, array_agg(entries order by step) as entries
           from (select funnel, step, count(*) as entries from marts.funnel_steps group by 1, 2) as steps
           group by 1"""
    )
    assert {row["funnel"]: row["entries"] for row in reached} == truth.funnels
    assert all(entries[0] > entries[-1] > 100 for entries in truth.funnels.values())


def test_the_planted_experiment_comes_out_as_it_was_dealt(pipeline, truth):
    found = rows(
        """select experiment, variant, count(*) as users, count(*) filter (where is_mixed) as mixed_users,
                  count(*) filter (where conversions > 0) as converted_users, sum(value) as value
           from marts.experiment_users where window_seconds = 604800 group by 1, 2 order by 1, 2"""
    )
    assert found == [one.model_dump() for one in truth.experiments]
    assert sum(one.mixed_users for one in truth.experiments) > 0


def test_the_secret_key_is_in_no_file_event_or_row(pipeline):
    for path in pipeline.home.rglob("*"):
        if path.is_file() and "postgres" not in path.relative_to(pipeline.home).parts:
            assert SECRET.encode() not in path.read_bytes(), path
    for name in (database.WAREHOUSE, database.DAGSTER):
        with psycopg.connect(database._database(database.url(), name)) as connection:
            query = """select oid::regclass::text from pg_class
                       where relkind in ('r', 'm') and relnamespace::regnamespace::text !~ '^(pg_|info)'"""
            for (table,) in connection.execute(query).fetchall():
                told = f"select count(*) from {table} as known where known::text like %s"
                assert connection.execute(told, [f"%{SECRET}%"]).fetchone()[0] == 0, table
