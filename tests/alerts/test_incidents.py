"""Evaluations against a real warehouse: what opens, resolves, is told, and stays as it is."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.alerts import evaluation, incidents, telling
from orchestration.alerts.evaluation import Evaluation
from orchestration.alerts.incidents import open_incidents, recent_incidents
from orchestration.alerts.lineage import Lineage
from orchestration.settings import Alerts
from orchestration.warehouse import database

OPS = ["ops@example.com"]
ERRORS = {
    "kind": "threshold",
    "metric": "error_rate",
    "above": 0.05,
    "for": 2,
    "clear": 2,
    "recipients": OPS,
}
ORDERS = {"kind": "anomaly", "metric": "orders", "min_effect": 0.5, "for": 2, "clear": 1, "recipients": OPS}
GATE = {"kind": "gate", "severity": "critical", "recipients": ["data@example.com"]}


NOW = datetime(2026, 3, 6, 12, tzinfo=UTC)


def config(**rules: dict) -> Alerts:
    return Alerts.model_validate({"reopen_within": "PT0S", "rules": rules})


def evaluate(connection: psycopg.Connection, rules: Alerts) -> Evaluation:
    """An evaluation whose messages all get out."""
    done = evaluation.evaluate(connection, rules, NOW, Lineage())
    connection.execute("update ops.outbox set status = 'sent' where status = 'pending'")
    return done


def test_a_threshold_incident_opens_once_resolves_once_and_each_is_mailed_once(published):
    rules = config(errors=ERRORS)
    published.hours("error_rate", [0.01, 0.20, 0.30])
    assert evaluate(published.connection, rules) == Evaluation(opened=1, resolved=0, notified=1)
    assert published.incidents() == [(1, None)]
    assert evaluate(published.connection, rules) == Evaluation(0, 0, 0)

    published.hours("error_rate", [0.40, 0.01], first=3)
    assert evaluate(published.connection, rules) == Evaluation(0, 0, 0)
    published.hours("error_rate", [0.02], first=5)
    assert evaluate(published.connection, rules) == Evaluation(opened=0, resolved=1, notified=1)
    assert published.incidents() == [(1, 4)]
    assert [mail["topic"] for mail in published.mails()] == ["incident 1 opened", "incident 1 resolved"]

    [incident] = recent_incidents(published.connection)
    assert (incident["value"], incident["expected"], incident["lo"], incident["hi"]) == (0.2, None, None, 0.05)
    assert (incident["rule"], incident["fingerprint"]) == ("errors", "errors|error_rate|all")
    assert incident["detail"] == (
        "error_rate was 20.0 %, above 5.0 %, for 2 hours, from 2026-03-02 02:00 CET."  # hour 1 in UTC, in Berlin
    )


def test_hours_that_are_not_final_wait(published):
    rules = config(errors=ERRORS)
    published.hours("error_rate", [0.01, 0.20])
    published.hours("error_rate", [0.30], first=2, is_final=False)
    published.hours("error_rate", [0.30], first=3)
    assert evaluate(published.connection, rules).opened == 0
    published.connection.execute("update api.metric_hourly set is_final = true")
    assert evaluate(published.connection, rules).opened == 1
    assert published.incidents() == [(1, None)]


def test_what_was_evaluated_is_not_evaluated_again_when_it_is_restated(published):
    rules = config(errors=ERRORS)
    published.hours("error_rate", [0.01, 0.01, 0.01])
    evaluate(published.connection, rules)
    published.connection.execute("update api.metric_hourly set value = 0.9")
    assert evaluate(published.connection, rules) == Evaluation(0, 0, 0)


def test_an_hour_without_rows_is_a_zero_for_a_count_and_no_evidence_for_a_rate(published):
    quiet = {"kind": "threshold", "metric": "orders", "below": 1, "for": 2, "recipients": OPS}
    published.hours("orders", [5, 7, None, None, None, 4, 6])
    published.hours("error_rate", [0.2, None, None, 0.2, 0.01, None, 0.01])
    evaluate(published.connection, config(quiet=quiet, errors=ERRORS))
    spans = {incident["rule"]: incident for incident in recent_incidents(published.connection)}
    opened = published.incidents()
    assert opened == [(0, 4), (2, 5)]  # the rate's row of hours bridges the gap; the zeros are hours 2 to 4
    assert spans["quiet"]["value"] == 0


def test_silence_at_the_end_of_a_count_is_seen_as_soon_as_other_hours_pass_it(published):
    quiet = {"kind": "threshold", "metric": "orders", "below": 1, "for": 3, "recipients": OPS}
    published.hours("orders", [5, 7])
    published.hours("error_rate", [0, 0, 0, 0, 0])
    assert evaluate(published.connection, config(quiet=quiet)).opened == 1
    assert published.incidents() == [(2, None)]


def test_an_anomaly_incident_carries_what_was_expected(published):
    rules = config(orders=ORDERS)
    published.hours("orders", [100] * 6)
    published.anomalies(
        "orders",
        [(100, 100, False), (40, 100, True), (55, 100, True), (30, 100, True), (20, 90, True), (99, 100, False)],
    )
    published.anomalies("orders|currency=EUR", [(0, 100, True)] * 6)  # another segment
    assert evaluate(published.connection, rules) == Evaluation(opened=1, resolved=1, notified=1)
    assert published.incidents() == [(3, 5)]  # 55 is less than half away: the row of hours begins anew at hour 3
    assert evaluate(published.connection, rules) == Evaluation(0, 0, 0)
    [incident] = recent_incidents(published.connection)
    assert [incident[name] for name in ("value", "expected", "lo", "hi")] == [30, 100, 80, 120]
    assert "orders was 30, 70 % below the expected 100, for 2 hours" in incident["detail"]


def test_each_value_of_a_dimension_has_an_incident_of_its_own(published):
    rules = config(errors=ERRORS | {"segment": "endpoint=*"})
    published.hours("error_rate", [0.2, 0.2], segment="endpoint=/buy")
    published.hours("error_rate", [0.3, 0.3], segment="endpoint=/find")
    published.hours("error_rate", [0.0, 0.0], segment="endpoint=/help")
    published.hours("error_rate", [0.9, 0.9])
    assert evaluate(published.connection, rules).opened == 2
    segments = {incident["segment"] for incident in open_incidents(published.connection)}
    assert segments == {"endpoint=/buy", "endpoint=/find"}


def test_a_breach_that_ended_long_ago_is_recorded_and_not_mailed(published):
    rules = config(errors=ERRORS)
    published.hours("error_rate", [0.2, 0.2, 0.0, 0.0] + [0.0] * 60)
    assert evaluate(published.connection, rules) == Evaluation(opened=1, resolved=1, notified=0)
    assert published.incidents() == [(0, 2)]
    assert published.mails() == []


def test_an_old_breach_that_still_lasts_is_mailed(published):
    published.hours("error_rate", [0.2] * 80)
    assert evaluate(published.connection, config(errors=ERRORS)) == Evaluation(opened=1, resolved=0, notified=1)


def test_a_recovery_is_not_mailed_when_the_opening_was_not(published):
    rules = config(errors=ERRORS | {"clear": 9})
    published.hours("error_rate", [0.2, 0.2, 0.0])
    published.hours("orders", [1] * 80)  # the newest final hour is three days later
    assert evaluate(published.connection, rules) == Evaluation(opened=1, resolved=0, notified=0)
    published.hours("error_rate", [0.0] * 9, first=80)
    assert evaluate(published.connection, rules) == Evaluation(opened=0, resolved=1, notified=0)


def test_what_opened_and_ended_since_the_last_look_is_told_in_one_mail(published):
    published.hours("error_rate", [0.2, 0.2, 0.0, 0.0])
    assert evaluate(published.connection, config(errors=ERRORS)) == Evaluation(opened=1, resolved=1, notified=1)
    [mail] = published.mails()
    body = message_from_bytes(mail["mime"], policy=policy.default).get_body(["plain"]).get_content()
    assert "It is over since 2026-03-02 03:00 CET." in body


def test_a_resolution_answers_the_opening_to_those_who_were_told(published):
    published.hours("error_rate", [0.2, 0.2])
    evaluate(published.connection, config(errors=ERRORS | {"recipients": ["a@example.com", "b@example.com"]}))
    published.hours("error_rate", [0.0, 0.0], first=2)
    evaluate(published.connection, config(errors=ERRORS | {"recipients": ["b@example.com", "new@example.com"]}))
    mails = {(mail["recipient"], mail["topic"]): message_from_bytes(mail["mime"]) for mail in published.mails()}
    assert len(mails) == 4
    for recipient in ("a@example.com", "b@example.com"):
        opening, resolution = (mails[recipient, f"incident 1 {what}"] for what in ("opened", "resolved"))
        assert resolution["In-Reply-To"] == resolution["References"] == opening["Message-ID"]
        assert opening["In-Reply-To"] is None
        assert opening["To"] == resolution["To"] == recipient


def look(connection: psycopg.Connection, now: datetime = NOW, **more) -> Evaluation:
    """An evaluation after which nothing gets out: the mail server is dead."""
    rules = Alerts.model_validate({"rules": {"errors": ERRORS}} | more)
    return evaluation.evaluate(connection, rules, now, Lineage())


def story(published) -> list[tuple[str, str]]:
    return [(mail["topic"], mail["status"]) for mail in published.mails()]


def test_what_was_over_before_its_opening_got_out_is_told_in_one_mail(published):
    published.hours("error_rate", [0.2, 0.2])
    look(published.connection)
    assert story(published) == [("incident 1 opened", "pending")]
    published.hours("error_rate", [0.0, 0.0], first=2)
    look(published.connection)
    assert story(published) == [("incident 1 opened", "withdrawn"), ("incident 1 over", "pending")]
    mail = published.mails()[1]
    body = message_from_bytes(mail["mime"], policy=policy.default).get_body(["plain"]).get_content()
    assert "error_rate was 20.0 %" in body and "It is over since 2026-03-02 03:00 CET." in body
    assert mail["after"] is None, "it waits for nothing"
    published.connection.execute("update ops.outbox set status = 'sent' where status = 'pending'")
    published.hours("error_rate", [0.2, 0.2], first=4)
    look(published.connection, reopen_within="PT4H")
    published.hours("error_rate", [0.0, 0.0], first=6)
    look(published.connection, reopen_within="PT4H")
    assert story(published)[2:] == [("incident 1 reopened", "withdrawn"), ("incident 1 over", "pending")]
    actions = published.connection.execute("select action from ops.incident_history order by history_id").fetchall()
    assert [row["action"] for row in actions].count("withdrawn") == 2


def test_what_somebody_heard_of_is_told_to_be_over_and_what_waits_behind_it_is_withdrawn(published):
    published.hours("error_rate", [0.2, 0.2])
    look(published.connection, rules={"errors": ERRORS | {"recipients": ["a@example.com", "b@example.com"]}})
    published.connection.execute("update ops.outbox set status = 'sent' where recipient = 'a@example.com'")
    steps = [{"after": "PT1H", "recipients": ["a@example.com"]}]
    rules = {"errors": ERRORS | {"recipients": ["a@example.com", "b@example.com"], "escalation": steps}}
    look(published.connection, NOW + timedelta(hours=2), rules=rules)
    published.hours("error_rate", [0.0, 0.0], first=2)
    look(published.connection, NOW + timedelta(hours=2), rules=rules)
    told = {(mail["recipient"][0], mail["topic"].split()[-1]): mail["status"] for mail in published.mails()}
    assert told == {
        ("a", "opened"): "sent", ("a", "escalated"): "withdrawn", ("a", "resolved"): "pending",
        ("b", "opened"): "withdrawn", ("b", "over"): "pending",
    }  # fmt: skip


def test_in_quiet_hours_nothing_is_said_and_what_ended_in_them_is_told_in_one_mail(published):
    quiet = {"quiet_hours": {"from": "22:00", "to": "06:00", "timezone": "UTC"}}
    evening = NOW.replace(hour=21, minute=59)
    published.hours("error_rate", [0.2, 0.2])
    look(published.connection, evening, **quiet)
    [one] = open_incidents(published.connection)
    incidents.resolve(published.connection, one["incident_id"], "ann", evening)
    rules = Alerts.model_validate({"rules": {"errors": ERRORS}} | quiet)
    assert telling.is_due(published.connection, rules, evening + timedelta(hours=1)), "or it would be told at six"
    look(published.connection, evening + timedelta(hours=1), **quiet)
    assert story(published) == [("incident 1 opened", "withdrawn")]
    look(published.connection, evening + timedelta(hours=9), **quiet)
    assert story(published) == [("incident 1 opened", "withdrawn"), ("incident 1 over", "pending")]


def test_a_failing_gate_opens_one_data_incident_per_table_until_it_passes(published):
    rules = config(gate=GATE)
    published.gate("staging.stg_lessons", "failed")
    published.gate("raw.events", "passed")
    assert evaluate(published.connection, rules) == Evaluation(opened=1, resolved=0, notified=1)
    published.gate("staging.stg_lessons", "failed")
    assert evaluate(published.connection, rules) == Evaluation(0, 0, 0)
    [incident] = open_incidents(published.connection)
    assert incident["fingerprint"] == "gate|staging.stg_lessons"
    assert incident["detail"] == "staging.stg_lessons: score is 140 in 3 rows"
    published.gate("staging.stg_lessons", "warned")
    assert evaluate(published.connection, rules) == Evaluation(opened=0, resolved=1, notified=1)
    published.gate("staging.stg_lessons", "failed")
    assert evaluate(published.connection, rules).opened == 1
    assert [mail["topic"] for mail in published.mails()] == [
        "incident 1 opened", "incident 1 resolved", "incident 2 opened",
    ]  # fmt: skip


def test_a_changed_field_opens_one_incident_until_it_is_as_it_was(published):
    rules = config(schema={"kind": "schema", "recipients": OPS})
    published.connection.execute(
        """insert into raw.loads (load_id, source, locator, checksum, received, loaded, duplicate, quarantined,
                                  suppressed, started_at)
           select load_id, 'app', 'x', load_id::text, 0, 0, 0, 0, 0, now() from generate_series(1, 2) as load_id;
           insert into raw.fields values
               ('app', 'made', '', 'object', 50, 50, 0, '2026-03-02', '2026-03-03 10:30Z', 1, 2),
               ('app', 'made', 'size', 'number', 49, 50, 1, '2026-03-02', '2026-03-03 10:00Z', 1, 1),
               ('app', 'made', 'size', 'string', 1, 1, 0, '2026-03-03 10:30Z', '2026-03-03 10:30Z', 2, 2)"""
    )
    assert evaluate(published.connection, rules) == Evaluation(opened=1, resolved=0, notified=1)
    assert evaluate(published.connection, rules) == Evaluation(0, 0, 0)
    [incident] = open_incidents(published.connection)
    assert (incident["fingerprint"], incident["metric"]) == ("schema|app made size", "schema")
    assert incident["detail"] == "app: size of made is string, and was number"
    assert incident["opened_hour"].isoformat() == "2026-03-03T10:00:00+00:00"
    published.connection.execute("update raw.fields set absent = 1000 where type = 'string'")
    assert evaluate(published.connection, rules) == Evaluation(opened=0, resolved=1, notified=1)


def test_a_gate_is_told_before_anything_was_published(warehouse):
    with database.connect(rows=True) as connection:
        connection.execute(
            """insert into ops.gate_results (table_name, run_id, load_id, status, hours_checked, rows_checked, results)
               values ('raw.events', 'r', 1, 'failed', 1, 1, '[]')"""
        )
        assert evaluate(connection, config(gate=GATE, errors=ERRORS)) == Evaluation(opened=1, resolved=0, notified=1)


def test_an_incident_that_no_rule_watches_any_more_is_closed(published):
    published.hours("error_rate", [0.2, 0.2])
    evaluate(published.connection, config(errors=ERRORS))
    assert evaluate(published.connection, config(other=ERRORS | {"metric": "latency_p95_ms"})).resolved == 1
    assert open_incidents(published.connection) == []
    published.hours("error_rate", [0.2], first=2)
    assert evaluate(published.connection, config(errors=ERRORS)).opened == 0  # two hours in a row, counted afresh
    published.hours("error_rate", [0.2], first=3)
    assert evaluate(published.connection, config(errors=ERRORS)).opened == 1
    assert published.incidents() == [(0, 1), (2, None)]


def test_a_rule_that_cannot_be_evaluated_is_told_to_its_receivers_and_stops_no_other(published):
    published.hours("error_rate", [0.2, 0.2])
    rules = config(errors=ERRORS, typo=ERRORS | {"metric": "eror_rate"})
    done = evaluate(published.connection, rules)
    assert (done.opened, done.notified) == (2, 2)
    [said] = done.broken
    assert re.search(r"rules\.typo\.metric.*error_rate, events, latency_p95_ms, orders, requests, revenue", said)
    assert {row["fingerprint"] for row in open_incidents(published.connection)} == {
        "errors|error_rate|all",
        "typo|rule",
    }
    assert any("The rule typo cannot be evaluated: " in mail["subject"] for mail in published.mails())
    assert evaluate(published.connection, rules).opened == 0  # it is said once
    done = evaluate(published.connection, config(errors=ERRORS, typo=ERRORS | {"metric": "latency_p95_ms"}))
    assert (done.broken, done.resolved) == ((), 1)


def test_everything_of_an_evaluation_is_kept_or_nothing(published, monkeypatch):
    published.hours("error_rate", [0.2, 0.2])
    published.connection.commit()

    def fail(*_args, **_kwargs):
        raise psycopg.OperationalError("the server went away")

    with monkeypatch.context() as patch:
        patch.setattr(telling.outbox, "enqueue", fail)
        with pytest.raises(psycopg.OperationalError), database.connect(rows=True) as connection:
            evaluate(connection, config(errors=ERRORS))
    for table in ("ops.incidents", "ops.alert_marks", "ops.outbox"):
        assert published.connection.execute(f"select count(*) from {table}").fetchone()["count"] == 0
    assert evaluate(published.connection, config(errors=ERRORS)) == Evaluation(opened=1, resolved=0, notified=1)


def test_evaluations_side_by_side_open_one_incident(published):
    published.hours("error_rate", [0.2, 0.2])
    published.connection.commit()

    def run(_) -> Evaluation:
        with database.connect(rows=True) as connection:
            return evaluate(connection, config(errors=ERRORS))

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(run, range(4)))
    assert sum(one.opened for one in done) == sum(one.notified for one in done) == 1


def test_what_is_being_acknowledged_does_not_escalate_meanwhile(published):
    rules = config(errors=ERRORS | {"escalation": [{"after": "PT1H", "recipients": ["boss@example.com"]}]})
    published.hours("error_rate", [0.2, 0.2])
    evaluate(published.connection, rules)
    published.connection.commit()

    def later() -> Evaluation:
        with database.connect(rows=True) as connection:
            return evaluation.evaluate(connection, rules, NOW + timedelta(hours=2), Lineage())

    with ThreadPoolExecutor(1) as pool:
        incidents.acknowledge(published.connection, 1, "ann", NOW)  # and its transaction is still open
        evaluating = pool.submit(later)
        with pytest.raises(TimeoutError):
            evaluating.result(0.5)
        published.connection.commit()
        assert evaluating.result().notified == 0
    assert incidents.incident(published.connection, 1)["escalations"] == 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.sampled_from([None, 0.0, 0.2]), min_size=1, max_size=20), data=st.data())
def test_evaluating_in_any_batches_gives_the_same_incidents(published, values, data):
    """A rate and a count over the same hours, evaluated at once and after each of some batches of hours."""
    rules = config(
        errors=ERRORS | {"clear": 1},
        quiet={"kind": "threshold", "metric": "orders", "below": 0.1, "for": 2, "recipients": OPS},
    )
    ends = sorted({*data.draw(st.lists(st.integers(1, len(values)), max_size=5)), len(values)})

    def run(ends: list[int]) -> list[tuple]:
        published.connection.execute("truncate api.metric_hourly, ops.incidents, ops.alert_marks, ops.outbox cascade")
        begin = 0
        for end in ends:
            published.hours("error_rate", values[begin:end], first=begin)
            published.hours("orders", values[begin:end], first=begin)
            published.hours("revenue", [1] * (end - begin), first=begin)  # something is final in every hour
            evaluate(published.connection, rules)
            begin = end
        query = "select rule, opened_hour, resolved_hour, value, detail from ops.incidents order by 1, 2"
        return [tuple(row.values()) for row in published.connection.execute(query)]

    batched = run(ends)
    assert batched == run([len(values)])
    assert all(resolved is None or resolved > opened for _, opened, resolved, *_ in batched)
