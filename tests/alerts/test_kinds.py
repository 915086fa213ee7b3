"""Rules of each kind against a real warehouse, with figures computed by hand."""

import re
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from psycopg.types.json import Jsonb

from orchestration.alerts import evaluation, replay
from orchestration.alerts.evaluation import Evaluation
from orchestration.alerts.incidents import open_incidents, recent_incidents
from orchestration.alerts.lineage import Lineage
from orchestration.errors import TidemarkError
from orchestration.settings import ROOT, Alerts, alerts
from orchestration.warehouse import database
from tests.alerts.conftest import START, at

OPS = ["ops@example.com"]
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
EVERYTHING = frozenset({"raw.events", "staging.stg_order_lines", "api.metric_hourly"})
LINEAGE = Lineage(
    relations={"api.metric_hourly": EVERYTHING,
               "staging.stg_order_lines": frozenset({"raw.events", "staging.stg_order_lines"}),
               "raw.events": frozenset({"raw.events"}), "api.things": frozenset()},
    metrics={"revenue": frozenset({"staging.stg_order_lines"}), "orders": frozenset({"staging.stg_order_lines"})},
)  # fmt: skip


def config(**rules: dict) -> Alerts:
    return Alerts.model_validate(
        {
            "notify_within": "P30D",
            "reopen_within": "PT0S",
            "rules": {name: {"recipients": OPS} | rule for name, rule in rules.items()},
        }
    )


def evaluate(connection: psycopg.Connection, rules: Alerts, now: datetime = NOW) -> Evaluation:
    """An evaluation whose messages all get out."""
    done = evaluation.evaluate(connection, rules, now, LINEAGE)
    connection.execute("update ops.outbox set status = 'sent' where status = 'pending'")
    return done


def days(published, metric: str, values: list[float], first: date) -> None:
    for number, value in enumerate(values):
        published.connection.execute(
            "insert into api.metric_daily values (%s, 'all', %s, %s, true)",
            [metric, first + timedelta(days=number), value],
        )


def load(published, source: str, load_id: int, newest: datetime, hours: list[datetime] = (), committed=NOW) -> None:
    published.connection.execute(
        """insert into raw.loads (load_id, source, locator, checksum, received, loaded, duplicate, quarantined,
                                  suppressed, newest_at, started_at, committed_at)
           values (%s, %s, 'x', %s, 1, 1, 0, 0, 0, %s, %s, %s)""",
        [load_id, source, str(load_id), newest, committed, committed],
    )
    for hour in hours:
        published.connection.execute("insert into raw.touched_hours values (%s, %s)", [load_id, hour])


def test_change_compares_with_the_same_weekday(published):
    rules = config(fallen={"kind": "change", "metric": "revenue", "fall": 0.5, "clear": 1})
    database.sync_tenant(published.connection)
    days(published, "revenue", [100, 100, 100, 100, 100, 10, 10, 90, 51, 50, 90], date(2026, 3, 2))
    published.hours("revenue", [1])
    assert evaluate(published.connection, rules).opened == 1
    [incident] = recent_incidents(published.connection)
    # The eleventh of March against the fourth: half. The weekend's 10 is usual for a weekend, 51 is not half.
    assert incident["opened_hour"] == datetime(2026, 3, 10, 23, tzinfo=UTC)  # midnight in Berlin
    assert (incident["value"], incident["expected"], incident["lo"], incident["hi"]) == (50, 100, 50, None)
    assert "50 % below the expected 100.00 EUR, in the day from 2026-03-11" in incident["detail"]
    assert incident["status"] == "resolved"


def test_change_against_the_hour_before_and_what_is_too_little_to_compare(published):
    jump = {"kind": "change", "metric": "orders", "grain": "hour", "against": "previous", "rise": 1.0, "least": 10}
    published.hours("orders", [1, 4, None, 20, 39, 80])
    evaluate(published.connection, config(jump=jump | {"clear": 1}))
    assert published.incidents() == [(3, 4), (5, None)]  # 4 is below 10; 20 after nothing; 39 is not twice 20; 80 is


def test_the_mean_of_some_hours_is_compared_with_those_of_the_weeks_before(published):
    rule = {"kind": "change", "metric": "orders", "grain": "hour", "over": "PT6H", "fall": 0.6, "clear": 3}
    rules = config(fell=rule)
    four_weeks = [4] * (4 * 168 + 6)
    four_weeks[168:174] = [40] * 6  # a rush: the median does not mind one week of four
    published.hours("orders", [*four_weeks, *[4] * 6, 0, None, 1, 0, 0, 0, 0, *[4] * 12])
    published.hours("error_rate", [0.0] * (len(four_weeks) + 25))
    assert evaluate(published.connection, rules).opened == 1
    # 24 in six hours are usual; fewer than 7.6 are no chance: five bad hours leave 4 + 1, four leave 9.
    assert published.incidents()[0][0] == len(four_weeks) + 6 + 4
    [incident] = recent_incidents(published.connection)
    assert (incident["value"], incident["expected"]) == (pytest.approx(5 / 6), 4)
    assert "orders averaged 0.8 an hour over 6 hours, 79 % below the expected 4" in incident["detail"]
    assert incident["status"] == "resolved"
    money = config(fell=rule | {"metric": "revenue"})
    assert "revenue is no count" in evaluate(published.connection, money).broken[0]


def test_forecast_means_outside_the_band_that_was_forecast_last(published):
    rules = config(off={"kind": "forecast", "metric": "revenue", "min_effect": 0.2})
    database.sync_tenant(published.connection)
    days(published, "revenue", [100, 79, 70], date(2026, 3, 2))
    for day, (yhat, lo, hi, load_id) in enumerate(
        [(100, 90, 110, 1), (95, 80, 110, 1), (200, 190, 210, 1), (100, 90, 110, 2)]
    ):
        begin = datetime(2026, 3, 2 + min(day, 2), tzinfo=UTC) - timedelta(hours=1)
        published.connection.execute(
            "insert into api.forecasts values ('revenue', %s, %s, %s, %s, %s)", [begin, yhat, lo, hi, load_id]
        )
    published.hours("revenue", [1])
    assert evaluate(published.connection, rules).opened == 1
    [incident] = recent_incidents(published.connection)
    assert (incident["value"], incident["expected"], incident["lo"], incident["hi"]) == (70, 100, 90, 110)


def test_an_objective_burns_over_both_windows(published):
    slo = {
        "kind": "objective",
        "objective": 0.9,
        "burn": 2,
        "long": "PT4H",
        "short": "PT1H",
        "grain": "hour",
        "clear": 1,
    }
    published.hours("requests", [100] * 8)
    published.hours("error_rate", [0, 0, 0, 0.5, 0.6, 0.1, 0, 0])
    evaluate(published.connection, config(slo=slo))
    # Hour 4: long (0 + 0 + .5 + .6) / 4 / .1 = 2.75, short 6. Hour 3: long 1.25. Hour 5: long 3, short 1.
    assert published.incidents() == [(4, 5)]
    [incident] = recent_incidents(published.connection)
    assert incident["value"] == pytest.approx(2.75)
    assert "2.8 times the error budget, above 2.0 times" in incident["detail"]


def test_minutes_are_looked_at_as_soon_as_they_are_complete(published):
    rules = config(errors={"kind": "threshold", "metric": "error_rate", "grain": "minute", "above": 0.1, "for": 2})
    for minute, value in enumerate([0.0, 0.5, 0.5, 0.5]):
        published.connection.execute(
            "insert into api.metric_minutes values ('error_rate', 'all', %s, %s)",
            [START + timedelta(minutes=minute), value],
        )
    published.hours("error_rate", [0])
    published.connection.execute("insert into api.windows values (%s)", [START + timedelta(minutes=2)])
    assert evaluate(published.connection, rules).opened == 0
    published.connection.execute("update api.windows set as_of = as_of + interval '1 minute'")
    assert evaluate(published.connection, rules, START + timedelta(minutes=3)).opened == 1
    [incident] = open_incidents(published.connection)
    assert incident["opened_hour"] == START + timedelta(minutes=1)


def test_rows_of_a_view_are_counted(published):
    connection = published.connection
    connection.execute("create table api.things (kind text, is_bad boolean)")
    rules = config(things={"kind": "rows", "view": "things", "where": {"kind": "o'hara", "is_bad": True}, "above": 1})
    connection.execute("insert into api.things values ('o''hara', true), ('o''hara', false), ('x', true)")
    assert evaluate(connection, rules).opened == 0
    connection.execute("insert into api.things values ('o''hara', true)")
    assert evaluate(connection, rules).opened == 1
    [incident] = open_incidents(connection)
    assert incident["detail"] == "api.things has 2 rows with kind = o'hara, is_bad = True, more than 1."
    connection.execute("truncate api.things")
    assert evaluate(connection, rules).resolved == 1


@pytest.mark.parametrize(
    ("change", "match"), [({"view": "thing"}, "no view api.thing"), ({"where": {"a": 1}}, "no such")]
)
def test_a_view_or_column_that_is_not_there_is_said_with_file_and_line(published, change, match, tmp_path, monkeypatch):
    published.connection.execute("create table api.things (kind text)")
    monkeypatch.setenv("TIDEMARK_CONFIG", str(tmp_path))
    (tmp_path / "alerts.yml").write_text("rules:\n  bad:\n    kind: rows\n    view: x\n    where: {a: 1}\n")
    (tmp_path / "tenant.yml").write_text("name: Test\n")
    rules = config(bad={"kind": "rows", "view": "things", "above": 1} | change)
    [said] = evaluate(published.connection, rules).broken
    assert re.search(rf"alerts\.yml:[45] rules\.bad\..*{match}", said)


def test_a_table_is_late_when_it_has_not_taken_in_what_was_loaded(published):
    rules = config(late={"kind": "freshness", "table": "views.metric_hourly", "within": "PT2H"})
    published.connection.execute("insert into ops.tidemarks (table_name, load_id) values ('views.metric_hourly', 1)")
    load(published, "app", 1, at(0), committed=NOW - timedelta(days=3))
    assert evaluate(published.connection, rules).opened == 0  # nothing came since
    load(published, "app", 2, at(0), committed=NOW - timedelta(hours=3))
    assert evaluate(published.connection, rules).opened == 1
    published.connection.execute("update ops.tidemarks set load_id = 2")
    assert evaluate(published.connection, rules).resolved == 1


def test_a_consecutive_count_holds_for_what_is_so_now_too(published):
    published.gate("staging.stg_lessons", "failed")
    rules = config(gate={"kind": "gate", "for": 3, "clear": 2})
    assert [evaluate(published.connection, rules).opened for _ in range(4)] == [0, 0, 1, 0]
    published.gate("staging.stg_lessons", "passed")
    assert [evaluate(published.connection, rules).resolved for _ in range(3)] == [0, 1, 0]


# Data or business ----------------------------------------------------------------------------------------------------

REVENUE = {"kind": "change", "metric": "revenue", "grain": "hour", "against": "previous", "fall": 0.4, "least": 10}
ABSENT = {"kind": "absence", "late": "PT3H"}
LOST = {"kind": "volume"}


def test_when_a_source_stops_there_is_one_data_incident_and_no_revenue_alert(published):
    rules = config(absent=ABSENT, lost=LOST, revenue=REVENUE)
    load(published, "web", 1, at(10))
    load(published, "app", 2, at(10))
    published.hours("revenue", [100] * 10)
    evaluate(published.connection, rules)
    load(published, "web", 3, at(20))  # and nothing of the app, which half of the revenue comes from
    published.hours("revenue", [50] * 10, first=10)
    assert evaluate(published.connection, rules) == Evaluation(opened=1, resolved=0, notified=1, waiting=1)
    [incident] = open_incidents(published.connection)
    assert (incident["rule"], incident["segment"]) == ("absent", "app")

    load(published, "app", 4, at(21))  # it is back, and has not brought the hours that it was away
    published.hours("revenue", [100], first=20)
    assert evaluate(published.connection, rules).opened == 0
    assert [row["rule"] for row in recent_incidents(published.connection)] == ["absent"]


def test_a_source_that_stops_holds_back_only_what_it_feeds(published):
    """A shop stops; its hours are not final for all, and what is made of requests goes on."""
    connection = published.connection
    connection.execute(
        """create table raw.today partition of raw.events for values from ('2026-03-02') to ('2026-03-03');
           create view staging.stg_order_lines as select * from raw.events where event_type = 'order_completed';
           create view staging.stg_requests as select * from raw.events where event_type = 'request_served';
           insert into ops.tidemarks (table_name, load_id) values ('views.metric_hourly', 9)"""
    )
    for load_id, source, kind in ((1, "shop", "order_completed"), (2, "web", "request_served")):
        load(published, source, load_id, at(3))
        connection.execute(
            """insert into raw.events (source, event_id, event_type, occurred_at, received_at, properties, load_id)
               values (%(source)s, 'e', %(kind)s, %(at)s, now(), '{}', %(load)s)""",
            {"source": source, "kind": kind, "at": at(3), "load": load_id},
        )
        connection.execute(
            "insert into raw.fields values (%s, %s, '', 'object', 1, 1, 0, %s, %s, %s, %s)",
            [source, kind, at(3), at(3), load_id, load_id],
        )
    shop, system, orders, requests = (
        "marts.shop_hourly", "marts.system_hourly", "staging.stg_order_lines", "staging.stg_requests",
    )  # fmt: skip
    lineage = Lineage(
        relations={"raw.events": frozenset({"raw.events"}), "api.metric_hourly": frozenset({"raw.events"})}
        | {name: frozenset({"raw.events", name}) for name in (shop, system, orders, requests)},
        metrics={"revenue": frozenset({shop}), "error_rate": frozenset({system})},
        entries={shop: frozenset({orders}), system: frozenset({requests})},
    )
    errors = {"kind": "threshold", "metric": "error_rate", "above": 0.1}
    rules = config(absent=ABSENT, revenue=REVENUE, errors=errors)
    published.hours("revenue", [100, 100, 10])
    published.hours("error_rate", [0.0, 0.0, 0.0])
    published.hours("revenue", [0] * 6, first=3, is_final=False)
    published.hours("error_rate", [0.0, 0.0, 0.0, 0.5, 0.5, 0.5], first=3, is_final=False)
    load(published, "web", 3, at(8) + timedelta(minutes=30))
    done = evaluation.evaluate(connection, rules, NOW, lineage)
    assert (done.broken, done.waiting) == ((), 1)
    opened = {row["rule"]: row for row in open_incidents(connection)}
    assert opened.keys() == {"absent", "errors"}
    assert opened["absent"]["evidence"]["staging"] == ["staging.stg_order_lines"]
    assert opened["errors"]["opened_hour"] == at(
        6
    )  # its last event is of half past eight: hour 6 is complete, 7 is not


def test_what_a_source_brings_later_is_judged_then(published):
    rules = config(absent=ABSENT, revenue=REVENUE)
    published.hours("revenue", [100] * 10)
    load(published, "web", 1, at(10))
    load(published, "app", 2, at(10))
    evaluate(published.connection, rules)
    load(published, "web", 3, at(20))
    evaluate(published.connection, rules)
    load(published, "app", 4, at(21), hours=[at(hour) for hour in range(10, 21)])
    published.hours("revenue", [30] * 11, first=10)  # all is there, and it is bad
    assert evaluate(published.connection, rules).opened == 1


def test_when_half_of_the_records_are_dropped_there_is_one_data_incident_and_no_revenue_alert(published):
    rules = config(absent=ABSENT, lost=LOST, revenue=REVENUE)
    load(published, "app", 1, at(100))
    published.hours("sessions", [50] * 100)
    published.hours("events", [400] * 96 + [200] * 4)
    published.hours("revenue", [100] * 96 + [50] * 4)
    assert evaluate(published.connection, rules) == Evaluation(opened=1, resolved=0, notified=1, waiting=1)
    [incident] = open_incidents(published.connection)
    assert (incident["rule"], incident["value"], incident["expected"]) == ("lost", 4, 8)
    published.hours("sessions", [50] * 3, first=100)
    published.hours("events", [400] * 3, first=100)
    published.hours("revenue", [100] * 3, first=100)
    assert evaluate(published.connection, rules).resolved == 1
    assert [row["rule"] for row in recent_incidents(published.connection)] == ["lost"]


def test_when_revenue_really_halves_there_is_one_revenue_alert(published):
    rules = config(absent=ABSENT, lost=LOST, revenue=REVENUE)
    load(published, "app", 1, at(100))
    published.hours("sessions", [50] * 100)
    published.hours("events", [400] * 100)
    published.hours("revenue", [100] * 96 + [50] * 4)
    assert evaluate(published.connection, rules) == Evaluation(opened=1, resolved=1, notified=1, waiting=0)
    assert [row["rule"] for row in recent_incidents(published.connection)] == ["revenue"]


def test_a_failed_gate_holds_back_only_what_is_made_of_its_table(published):
    rules = config(
        gate={"kind": "gate"}, revenue=REVENUE, errors={"kind": "threshold", "metric": "error_rate", "above": 0.1}
    )
    published.hours("revenue", [100, 10])
    published.hours("error_rate", [0.5, 0.5])
    published.gate("staging.stg_order_lines", "failed")
    assert evaluate(published.connection, rules).waiting == 1
    assert {row["rule"] for row in open_incidents(published.connection)} == {"gate", "errors"}
    published.gate("staging.stg_order_lines", "passed")
    done = evaluate(published.connection, rules)
    assert (done.opened, done.waiting) == (1, 0)  # what it held back is judged now


def test_a_silence_of_everything_is_seen_by_the_clock(published):
    rules = config(absent=ABSENT)
    load(published, "app", 1, at(10), committed=NOW - timedelta(hours=23))
    assert evaluate(published.connection, rules).opened == 0
    assert evaluate(published.connection, rules, NOW + timedelta(hours=2)).opened == 1
    load(published, "app", 2, at(20), committed=NOW + timedelta(hours=3))
    assert evaluate(published.connection, rules, NOW + timedelta(hours=4)).resolved == 1


def test_a_source_that_only_brought_the_past_is_not_missed(published):
    load(published, "archive", 1, datetime(2011, 12, 9, tzinfo=UTC))
    load(published, "app", 2, at(10))
    assert evaluate(published.connection, config(absent=ABSENT)).opened == 0


# Causes, storms, replay ----------------------------------------------------------------------------------------------


def test_the_segment_that_explains_a_fall_is_named(published):
    published.hours("orders", [100] * 169)
    published.hours("orders", [70] * 168 + [10], segment="country=DE")
    published.hours("orders", [30] * 168 + [28], segment="country=FR")
    published.hours("orders", [50] * 168 + [20], segment="device=web")
    published.hours("orders", [50] * 168 + [18], segment="device=app")
    published.connection.execute(
        "update api.metric_hourly set value = 38 where segment = 'all' and hour = %s", [at(168)]
    )
    rule = {"kind": "change", "metric": "orders", "grain": "hour", "fall": 0.5}
    evaluate(published.connection, config(orders=rule))
    [incident] = recent_incidents(published.connection)
    # Germany lost 60 of the 62 that are missing; each device about half: the country explains more.
    [best, *_] = incident["evidence"]["contributions"]
    assert best["segment"] == "country=DE"
    assert best["share"] == pytest.approx(60 / 62)
    assert incident["evidence"]["chart"][-1]["value"] == 38


def test_segments_of_a_share_are_compared_where_they_have_one(published):
    published.hours("error_rate", [0.0] * 168 + [0.5])
    published.hours("error_rate", [0.1] * 168 + [0.6], segment="endpoint=/buy")
    published.hours("error_rate", [0.1] * 168, segment="endpoint=/gone")
    published.hours("error_rate", [0.1], segment="endpoint=/new", first=168)
    evaluate(published.connection, config(errors={"kind": "threshold", "metric": "error_rate", "above": 0.1}))
    [incident] = recent_incidents(published.connection)
    assert [one["segment"] for one in incident["evidence"]["contributions"]] == ["endpoint=/buy"]


def test_what_coincided_is_named(published):
    published.connection.execute(
        """create table raw.today partition of raw.events for values from ('2026-03-02') to ('2026-03-03');
           insert into raw.events values
           ('shop', 'e', 'price_changed', '2026-03-02 00:30Z', now(), null, null,
            '{"product_id": "p1", "price": 9, "previous_price": 5}', 1),
           ('ci', 'r', 'release', '2026-03-02 01:10Z', now(), null, null, '{"version": "1.7"}', 1)"""
    )
    published.hours("error_rate", [0.0, 0.5])
    evaluate(published.connection, config(errors={"kind": "threshold", "metric": "error_rate", "above": 0.1}))
    [incident] = recent_incidents(published.connection)
    assert set(incident["evidence"]["coincided"]) == {
        "price of p1 changed from 5 to 9 at 2026-03-02 00:30 UTC",
        "release 1.7 at 2026-03-02 01:10 UTC",
    }


@pytest.mark.parametrize("breaches", [600, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_thousands_of_breaches_at_once_are_few_messages_that_count_them_all(published, breaches):
    published.connection.execute(
        """insert into api.metric_hourly
           select metric, 'endpoint=/' || number, %s + step * interval '1 hour', 0.9, true, 1
           from unnest(array['error_rate', 'latency_p95_ms']) as metric, generate_series(1, %s) as number,
               generate_series(0, 0) as step""",
        [START, breaches // 2],
    )
    published.connection.execute("analyze api.metric_hourly")
    published.hours("error_rate", [0.0])
    every = {"kind": "threshold", "metric": "error_rate", "segment": "endpoint=*", "above": 0.1, "group": "incident"}
    rules = config(one=every, two=every | {"metric": "latency_p95_ms", "severity": "critical"})
    done = evaluate(published.connection, rules)
    assert (done.opened, done.notified) == (breaches, rules.messages_per_hour)
    mails = published.mails()
    assert len(mails) == rules.messages_per_hour
    assert sum(mail["subject"].startswith("[critical]") for mail in mails) == rules.messages_per_hour  # the worst first
    [storm] = [mail["subject"] for mail in mails if "incidents of" in mail["subject"]]
    assert storm == f"[critical] {breaches - rules.messages_per_hour + 1:,} incidents of 2 rules"

    published.hours("error_rate", [0.0] * 2, first=1)
    published.connection.execute(
        """insert into api.metric_hourly
           select metric, 'endpoint=/' || number, %s + step * interval '1 hour', 0, true, 1
           from unnest(array['error_rate', 'latency_p95_ms']) as metric, generate_series(1, %s) as number,
               generate_series(1, 2) as step""",
        [START, breaches // 2],
    )
    # The hour has had its messages: that it is over waits, and is told in as many later.
    assert evaluate(published.connection, rules) == Evaluation(opened=0, resolved=breaches, notified=0)
    later = evaluate(published.connection, rules, NOW + timedelta(hours=2))
    assert 1 <= later.notified <= rules.messages_per_hour
    told = published.connection.execute(
        "select count(distinct incident_id) as n from ops.incident_messages where event = 'resolved'"
    ).fetchone()
    assert told["n"] == breaches
    assert evaluate(published.connection, rules, NOW + timedelta(hours=9)).notified == 0


def test_a_replay_says_what_would_have_been_and_leaves_no_trace(published):
    published.hours("error_rate", [0.0] * 5 + [0.5] * 3 + [0.0] * 40 + [0.5] * 2 + [0.0] * 10)
    night = {"from": "20:00", "to": "06:00", "timezone": "UTC"}
    rule = {"kind": "threshold", "metric": "error_rate", "above": 0.1, "for": 2, "quiet_hours": night,
            "escalation": [{"after": "PT1H", "recipients": ["boss@example.com"]}]}  # fmt: skip
    rules = config(errors=rule)
    done = replay.replay(published.connection, rules, "errors", at(0), at(60))
    summary = done.summary()
    assert [(row["opened_hour"], row["resolved_hour"]) for row in summary["incidents"]] == [
        (at(5), at(8)), (at(48), at(50)),
    ]  # fmt: skip
    assert (summary["hours_open"], summary["longest_hours"]) == (5, 3)
    # Two bad hours are known at seven; an hour later it escalates; good hours 8 and 9 end it at ten. The second one is
    # known at two in the night and over at four: nobody is told.
    assert [(row["at"], row["receiver"]) for row in summary["messages"]] == [
        (at(7), "ops@example.com"), (at(8), "boss@example.com"),
        (at(10), "boss@example.com"), (at(10), "ops@example.com"),
    ]  # fmt: skip
    path = replay.picture(done, rules)
    assert path.read_bytes().startswith(b"\x89PNG")
    for table in ("ops.incidents", "ops.outbox", "ops.alert_marks", "ops.incident_history"):
        assert published.connection.execute(f"select count(*) as n from {table}").fetchone()["n"] == 0


def test_rules_about_gates_and_sources_are_replayed_over_what_was_so_then(published):
    rules = config(gate={"kind": "gate", "severity": "critical"}, absent=ABSENT | {"severity": "critical"})
    for hour, status in ((3, "passed"), (5, "failed"), (6, "failed"), (9, "passed")):
        published.gate("staging.stg_lessons", status)
        published.connection.execute(
            "update ops.gate_results set evaluated_at = %s where gate_result_id = %s",
            [at(hour) + timedelta(minutes=20), {3: 1, 5: 2, 6: 3, 9: 4}[hour]],
        )
    load(published, "app", 1, at(1), committed=at(1))
    for load_id, hour in ((2, 2), (3, 6), (4, 10)):
        load(published, "web", load_id, at(hour), committed=at(hour) + timedelta(minutes=10))
    load(published, "app", 5, at(10), committed=at(10) + timedelta(minutes=30))
    published.hours("revenue", [1])

    def spans(name: str) -> list[tuple]:
        done = replay.replay(published.connection, rules, name, at(0), at(12)).summary()
        return [(row["segment"], row["opened_hour"], row["resolved_hour"]) for row in done["incidents"]] + [
            row["at"] for row in done["messages"]
        ]

    begin, end = at(5) + timedelta(minutes=20), at(9) + timedelta(minutes=20)
    assert spans("gate") == [("staging.stg_lessons", begin, end), begin, end]
    known, back = at(6) + timedelta(minutes=10), at(10) + timedelta(minutes=30)
    assert spans("absent") == [("app", at(1), back), known, back]


def test_rules_whose_past_nobody_kept_cannot_be_replayed(published):
    rules = config(late={"kind": "freshness", "table": "views.metric_hourly", "within": "PT1H"})
    with pytest.raises(TidemarkError, match="kind freshness"):
        replay.replay(published.connection, rules, "late", at(0), at(9))
    with pytest.raises(TidemarkError, match="no rule other: use one of late"):
        replay.replay(published.connection, rules, "other", at(0), at(9))


@pytest.fixture
def read(published):
    """Write reads of personal data into the audit as if they had been at other times; ada and bob have habits."""
    model = (ROOT / "dbt_project/models/api/api_personal_data_access.sql").read_text()
    model = model.replace("{{ source('ops', 'audit') }}", "ops.audit")
    published.connection.execute(f"create view api.personal_data_access as {model}")
    published.connection.execute("alter table ops.audit disable trigger all")

    def read(actor: str, at: datetime, table: str, rows: int) -> None:
        published.connection.execute(
            """insert into ops.audit (audit_id, at, actor, action, subject, detail, hash)
               select coalesce(max(audit_id), 0) + 1, %s, %s, 'export', %s, %s, '' from ops.audit""",
            [at, actor, table, Jsonb({"personal": ["email", "user_id"], "rows": rows})],
        )

    for day in range(1, 15):
        for actor in ("ada", "bob"):
            read(actor, NOW - timedelta(days=day, hours=2), "api.learners", 300)
    return read


def test_unusual_access_opens_an_incident_for_each_reader_and_their_keeper_is_told(published, read):
    rules = config(unusual_access={"kind": "access", "severity": "critical"})
    read("ada", NOW - timedelta(hours=1), "api.learners", 500)
    read("new here", NOW - timedelta(hours=12), "api.customers", 90_000)
    assert evaluate(published.connection, rules).opened == 0  # habits
    read("ada", NOW - timedelta(hours=1), "api.learners", 9_000)
    read("bob", NOW - timedelta(hours=14), "api.customers", 5)
    done = evaluate(published.connection, rules)
    assert (done.opened, done.notified) == (2, 1)
    assert sorted(one["detail"] for one in open_incidents(published.connection)) == [
        "ada read personal data otherwise than usual: 9,500 rows in a day, at most 300 before.",
        "bob read personal data otherwise than usual: for the first time api.customers; at 23:00, when they never did.",
    ]
    assert evaluate(published.connection, rules, NOW + timedelta(hours=1)).opened == 0  # once
    assert evaluate(published.connection, rules, NOW + timedelta(hours=24)).resolved == 2
    assert "unusual_access" in alerts().rules  # somebody is told by default
