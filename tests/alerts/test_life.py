"""The life of incidents as a model with a fake clock: whatever happens in whatever order, the promises hold."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestration.alerts import evaluation, incidents, telling
from orchestration.alerts.lineage import Lineage
from orchestration.errors import TidemarkError
from orchestration.settings import Alerts
from tests.alerts.conftest import at, number

WAY, BOSS = timedelta(hours=2), timedelta(hours=5)
QUIET = {"from": "22:00:00", "to": "06:00:00", "timezone": "UTC"}
SEGMENTS = ["endpoint=/buy", "endpoint=/find"]
CONFIG = Alerts.model_validate(
    {
        "notify_within": "P365D",
        "reopen_within": "PT4H",
        "quiet_hours": {"from": "22:00", "to": "06:00", "timezone": "UTC"},
        "rules": {
            "errors": {
                "kind": "threshold", "metric": "error_rate", "segment": "endpoint=*", "above": 0.1, "for": 2,
                "recipients": ["ops@example.com"],
                "escalation": [
                    {"after": WAY, "recipients": ["lead@example.com"]},
                    {"after": BOSS, "recipients": ["boss@example.com"]},
                ],
            },
            "alarm": {
                "kind": "threshold", "metric": "error_rate", "above": 0.1, "severity": "critical",
                "recipients": ["night@example.com"],
            },
        },
    }
)  # fmt: skip


class Life(RuleBasedStateMachine):
    """Hours come with good or bad values; people answer, servers fail; each evaluation happens at some later time."""

    published = None

    @initialize()
    def empty(self):
        self.connection = self.published.connection
        self.connection.execute(
            """truncate api.metric_hourly, ops.incidents, ops.alert_marks, ops.outbox, ops.silences,
                        ops.incident_history, ops.incident_messages restart identity"""
        )
        self.hour = 0
        self.now = at(0)
        self.acknowledged: dict[int, int] = {}

    def evaluate(self):
        evaluation.evaluate(self.connection, CONFIG, self.now, Lineage())
        waiting = self.connection.execute(
            """select message_id, bool_and(incidents.status = 'resolved' and not is_settled) as is_over
               from ops.outbox join ops.incident_messages using (message_id) join ops.incidents using (incident_id)
               where outbox.status = 'pending' and event not in ('over', 'resolved') group by 1"""
        ).fetchall()
        assert not any(row["is_over"] for row in waiting), "a beginning would be told after the end"

    @rule(values=st.lists(st.sampled_from([0.0, 0.5]), min_size=3, max_size=3), minutes=st.integers(0, 59))
    def an_hour_passes(self, values, minutes):
        for segment, value in zip(["all", *SEGMENTS], values, strict=True):
            self.published.hours("error_rate", [value], segment=segment, first=self.hour)
        self.hour += 1
        self.now = max(self.now, at(self.hour) + timedelta(minutes=minutes))
        self.evaluate()

    @rule(hours=st.integers(1, 9))
    def time_passes(self, hours):
        self.now += timedelta(hours=hours)
        self.evaluate()

    @rule(delivers=st.booleans())
    def mail_goes_out_or_is_refused_for_good(self, delivers):
        """What `deliver` does with the oldest messages whose predecessors were delivered."""
        self.connection.execute(
            """update ops.outbox set status = %s, sent_at = %s
               where status = 'pending' and (after is null or exists (
                   select from ops.outbox as earlier
                   where earlier.message_id = outbox.after and earlier.status = 'sent'))""",
            ["sent" if delivers else "dead", self.now],
        )

    def an_open_one(self, data):
        rows = incidents.open_incidents(self.connection)
        return data.draw(st.sampled_from(sorted(row["incident_id"] for row in rows))) if rows else None

    @rule(data=st.data())
    def somebody_acknowledges(self, data):
        if (one := self.an_open_one(data)) is not None:
            found = incidents.acknowledge(self.connection, one, "ann", self.now)
            self.acknowledged[one] = found["openings"]

    @rule(data=st.data(), hours=st.integers(1, 6))
    def somebody_snoozes(self, data, hours):
        if (one := self.an_open_one(data)) is not None:
            incidents.snooze(self.connection, one, "ann", self.now, self.now + timedelta(hours=hours))

    @rule(data=st.data())
    def somebody_resolves(self, data):
        if (one := self.an_open_one(data)) is not None:
            incidents.resolve(self.connection, one, "ann", self.now)
            with pytest.raises(TidemarkError, match="is resolved"):
                incidents.acknowledge(self.connection, one, "ann", self.now)

    @rule(hours=st.integers(1, 6))
    def somebody_silences(self, hours):
        incidents.silence(self.connection, "errors", "ann", self.now, self.now + timedelta(hours=hours))

    @precondition(lambda self: self.hour)
    @invariant()
    def promises(self):
        rows = self.connection.execute("select * from ops.incidents").fetchall()
        messages = self.connection.execute(
            """select told.*, rule, severity, outbox.status as fate, outbox.after, outbox.quiet_hours,
                   fingerprint
               from ops.incident_messages as told join ops.incidents using (incident_id)
               join ops.outbox using (message_id) order by told_id"""
        ).fetchall()
        live = [row["fingerprint"] for row in rows if row["status"] != "resolved"]
        assert len(live) == len(set(live)), "two open incidents for a fingerprint"
        delivered = {
            row["message_id"]
            for row in self.connection.execute("select message_id from ops.outbox where status = 'sent'")
        }
        for one in messages:
            if one["fate"] == "withdrawn":
                continue
            if one["event"] == "resolved":
                assert one["after"] is not None, "a recovery that waits for no opening"
                assert one["fate"] != "sent" or one["after"] in delivered, "a recovery without a delivered opening"
            if one["rule"] == "errors":
                assert 6 <= one["at"].hour < 22, "something was sent in quiet hours"
                assert one["quiet_hours"] == [QUIET], "a retry of it could be sent in quiet hours"
            else:
                assert one["quiet_hours"] == [], "what overrides quiet hours could wait for their end"
        self.each_receiver_hears_a_story(messages)
        self.nobody_is_woken_for_what_is_taken_care_of(messages)
        self.what_is_open_and_known_escalates(rows)

    def each_receiver_hears_a_story(self, messages):
        """An opening, then whatever happens, then the end; and only then an opening again."""
        last: dict[tuple, str] = {}
        for one in messages:
            if one["fate"] == "withdrawn":
                continue
            key = (one["incident_id"], one["receiver"])
            begins = one["event"] in ("opened", "over", "reopened") or (
                one["event"] == "escalated" and last.get(key) in (None, "resolved")
            )
            assert begins == (last.get(key) in (None, "resolved", "over")), (key, last.get(key), one["event"])
            last[key] = one["event"]

    def nobody_is_woken_for_what_is_taken_care_of(self, messages):
        history = self.connection.execute("select * from ops.incident_history order by history_id").fetchall()
        cared_for: set[int] = set()
        for row in history:
            if row["action"] == "acknowledged":
                cared_for.add(row["incident_id"])
            elif row["action"] in ("reopened", "resolved"):
                cared_for.discard(row["incident_id"])
            elif row["action"] == "escalated":
                assert row["incident_id"] not in cared_for, "an acknowledged incident escalated"

    def what_is_open_and_known_escalates(self, rows):
        """Every opened incident ends, is taken care of, is put off on purpose, waits for the day, or escalates."""
        active = incidents.silences(self.connection, self.now)
        seen = self.connection.execute("select max(at) as at from ops.incident_history").fetchone()["at"]
        for row in rows:
            if row["rule"] != "errors" or row["status"] != "open" or seen is None:
                continue
            is_put_off = (
                incidents.is_silenced(row, active)
                or telling.is_quiet(CONFIG, row, CONFIG.rules["errors"], self.now)
                or row["snoozed_until"] is not None
            )
            if not is_put_off and row["told_at"] and row["told_at"] + BOSS <= self.now:
                self.evaluate()
                after = incidents.incident(self.connection, row["incident_id"])
                assert after["escalations"] == 2, "an incident that nobody answers did not escalate"


def test_the_promises_hold_whatever_happens(published):
    Life.published = published
    from tests.conftest import IS_NIGHTLY

    try:
        run = settings(
            max_examples=300 if IS_NIGHTLY else 12,
            stateful_step_count=60 if IS_NIGHTLY else 25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        from hypothesis.stateful import run_state_machine_as_test

        run_state_machine_as_test(Life, settings=run)
    finally:
        Life.published = None


def test_the_model_sees_through_its_clock():
    assert at(0) == datetime(2026, 3, 2, tzinfo=UTC)
    assert number(at(5)) == 5
