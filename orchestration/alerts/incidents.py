"""Incidents in the database: one evaluation of all rules is one transaction over incidents, marks and mail."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial

import psycopg
from psycopg.types.json import Jsonb

from orchestration.alerts import notifications, series
from orchestration.alerts.evaluation import Reading, State, Transition, walk
from orchestration.alerts.rules import breaches, check_metrics, covers, fingerprint
from orchestration.settings import Alerts, MetricRule, Rule, StandingRule, ThresholdRule, tenant
from orchestration.warehouse import outbox

# What a rule of a kind finds wrong now: what it is about, the hour of event time in which it began where there is one,
# since when it is known, and a sentence.
_STANDING = {
    "gate": """
        select table_name as segment, null::timestamptz as hour, since,
            coalesce(sentence, 'Its gate failed without naming an expectation.') as sentence
        from ops.held_tables""",
    "schema": """
        select distinct on (segment) segment, ops.hour_of(changed_at, ops.timezone()) as hour, changed_at as since,
            source || ': ' || field || ' of ' || event_type || ' ' || detail as sentence
        from (
            select *, concat_ws(' ', source, event_type, field) as segment,
                case when change = 'vanished' then last_at else first_at end as changed_at
            from ops.schema_changes where is_open
        ) as changes
        order by segment, load_id desc, change""",
}

_LOCK = 7_461_003  # 7_461_001 is held by migrations, 7_461_002 by loads


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation did: how many incidents opened and resolved, and how many notifications were queued."""

    opened: int
    resolved: int
    notified: int


def evaluate(connection: psycopg.Connection, config: Alerts) -> Evaluation:
    """Walk every rule over the hours it has not seen, in the transaction of `connection`, whose rows are dictionaries.

    Opens and resolves incidents, moves the marks and queues the mail. What was evaluated before stays as it is, also
    where an hour was restated since. Raises TidemarkError for a rule whose metric does not exist.
    """
    connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
    as_of = series.newest_final_hour(connection)
    metrics = series.catalogue(connection) if as_of else {}
    if as_of:
        check_metrics(config, metrics)
    opened, resolved = set(), set(_close_unwatched(connection, config, as_of))
    for name, rule in config.rules.items():
        for incident_id, opens in _follow(connection, name, rule, metrics, as_of):
            (opened if opens else resolved).add(incident_id)
    notified = sum(
        _notify_opening(connection, config, incident_id, metrics, as_of) for incident_id in sorted(opened)
    ) + sum(_notify_resolution(connection, incident_id, metrics) for incident_id in sorted(resolved - opened))
    return Evaluation(len(opened), len(resolved), notified)


def open_incidents(connection: psycopg.Connection) -> list[dict]:
    """The incidents that are open, the longest open first. `connection` gives rows as dictionaries."""
    query = "select * from ops.incidents where status <> 'resolved' order by opened_hour, incident_id"
    return connection.execute(query).fetchall()


def recent_incidents(connection: psycopg.Connection, limit: int = 20) -> list[dict]:
    """The newest incidents by the hour in which they began, open or not."""
    query = "select * from ops.incidents order by opened_hour desc, incident_id desc limit %s"
    return connection.execute(query, [limit]).fetchall()


# Each of these yields (incident_id, whether it opened) for what changed.


def _follow(
    connection: psycopg.Connection, name: str, rule: Rule, metrics: dict[str, dict], as_of: datetime | None
) -> Iterator[tuple[int, bool]]:
    if isinstance(rule, StandingRule):
        yield from _follow_standing(connection, name, rule, as_of)
    elif as_of:
        for segment, readings in series.unread(connection, name, rule, as_of):
            if readings:
                yield from _follow_series(connection, name, rule, segment, metrics[rule.metric], readings)


def _follow_series(
    connection: psycopg.Connection, name: str, rule: MetricRule, segment: str, metric: dict, readings: list[Reading]
) -> Iterator[tuple[int, bool]]:
    cause = fingerprint(name, rule.metric, segment)
    state = _state(connection, cause)
    transitions, state = walk(readings, state, partial(breaches, rule), rule.min_hours, rule.clear_hours)
    for transition in transitions:
        if transition.opens:
            incident = _incident(rule, segment, metric, transition)
            yield _open(connection, rule=name, fingerprint=cause, severity=rule.severity, **incident), True
        else:
            yield _resolve(connection, cause, transition.first.hour), False
    _save_state(connection, cause, readings[-1].hour, state)


def _follow_standing(
    connection: psycopg.Connection, name: str, rule: StandingRule, as_of: datetime | None
) -> Iterator[tuple[int, bool]]:
    """One data incident for each thing that is wrong now, until it no longer is."""
    standing = {fingerprint(name, row["segment"]): row for row in connection.execute(_STANDING[rule.kind])}
    known = {incident["fingerprint"] for incident in open_incidents(connection) if incident["rule"] == name}
    for cause in sorted(standing.keys() - known):
        row = standing[cause]
        yield (
            _open(
                connection,
                rule=name,
                fingerprint=cause,
                metric=rule.kind,
                segment=row["segment"],
                severity=rule.severity,
                opened_hour=row["hour"] or as_of or row["since"],
                value=None,
                detail=row["sentence"],
            ),
            True,
        )
    for cause in sorted(known - standing.keys()):
        yield _resolve(connection, cause, as_of), False


def _close_unwatched(connection: psycopg.Connection, config: Alerts, as_of: datetime | None) -> list[int]:
    """Resolve the open incidents that no rule watches any more: nothing else ever would."""
    unwatched = []
    for incident in open_incidents(connection):
        rule = config.rules.get(incident["rule"])
        is_watched = isinstance(rule, MetricRule) and covers(rule, incident["metric"], incident["segment"])
        if not is_watched and not (isinstance(rule, StandingRule) and incident["metric"] == rule.kind):
            unwatched.append(_resolve(connection, incident["fingerprint"], as_of))
    return unwatched


def _incident(rule: MetricRule, segment: str, metric: dict, transition: Transition) -> dict:
    """The columns of an incident, with the values of its first hour. A threshold's limits are its `lo` and `hi`."""
    first = transition.first
    is_threshold = isinstance(rule, ThresholdRule)
    incident = {
        "metric": rule.metric,
        "segment": segment,
        "opened_hour": first.hour,
        "value": first.value,
        "expected": first.expected,
        "lo": rule.below if is_threshold else first.lo,
        "hi": rule.above if is_threshold else first.hi,
    }
    return incident | {"detail": notifications.sentence(incident, metric["unit"], transition.streak, tenant())}


def _open(connection: psycopg.Connection, **columns) -> int:
    names, places = ", ".join(columns), ", ".join(f"%({name})s" for name in columns)
    return connection.execute(
        f"insert into ops.incidents (status, {names}) values ('open', {places}) returning incident_id", columns
    ).fetchone()["incident_id"]


def _resolve(connection: psycopg.Connection, cause: str, hour: datetime | None) -> int:
    return connection.execute(
        """update ops.incidents
           set status = 'resolved',
               resolved_hour = greatest(%s::timestamptz, opened_hour),
               resolved_at = clock_timestamp()
           where fingerprint = %s and status <> 'resolved' returning incident_id""",
        [hour, cause],
    ).fetchone()["incident_id"]


def _state(connection: psycopg.Connection, cause: str) -> State:
    """Where the walk of a series stands. The incidents say whether one is open: somebody may have closed it."""
    row = connection.execute(
        """select
               exists (select from ops.incidents where fingerprint = %(cause)s and status <> 'resolved') as is_open,
               (select state from ops.alert_marks where fingerprint = %(cause)s) as state""",
        {"cause": cause},
    ).fetchone()
    saved = row["state"]
    if saved is None or saved["is_open"] != row["is_open"]:
        return State(is_open=row["is_open"])
    first = saved["first"] and Reading(**saved["first"] | {"hour": datetime.fromisoformat(saved["first"]["hour"])})
    return State(saved["is_open"], saved["streak"], first)


def _save_state(connection: psycopg.Connection, cause: str, hour: datetime, state: State) -> None:
    saved = asdict(state)
    if state.first:
        saved["first"]["hour"] = state.first.hour.isoformat()
    connection.execute(
        """insert into ops.alert_marks (fingerprint, hour, state) values (%s, %s, %s)
           on conflict (fingerprint) do update set hour = excluded.hour, state = excluded.state""",
        [cause, hour, Jsonb(saved)],
    )


def _notify_opening(
    connection: psycopg.Connection, config: Alerts, incident_id: int, metrics: dict, as_of: datetime | None
) -> bool:
    """Queue the mail about an incident that opened, unless it belongs to the past, as in a backfill."""
    incident = _read(connection, incident_id)
    if (
        not isinstance(config.rules[incident["rule"]], StandingRule)
        and (incident["resolved_hour"] or incident["walked_to"]) < as_of - config.notify_within
    ):
        return False
    rule = config.rules[incident["rule"]]
    message = notifications.opening(incident, rule, metrics.get(incident["metric"]), tenant())
    return outbox.enqueue(connection, message, topic=_topic(incident_id), key=_key(incident, "opened"))


def _notify_resolution(connection: psycopg.Connection, incident_id: int, metrics: dict) -> bool:
    """Queue the mail about an incident that resolved, to those who were told that it opened."""
    query = "select recipient from ops.outbox where topic = %s order by recipient"
    told = [row["recipient"] for row in connection.execute(query, [_topic(incident_id)])]
    if not told:
        return False
    incident = _read(connection, incident_id)
    message = notifications.resolution(incident, metrics.get(incident["metric"]), tenant(), told)
    return outbox.enqueue(
        connection,
        message,
        topic=f"incident {incident_id} resolved",
        key=_key(incident, "resolved"),
        reply_to=_key(incident, "opened"),
    )


def _read(connection: psycopg.Connection, incident_id: int) -> dict:
    return connection.execute(
        """select incidents.*, marks.hour as walked_to
           from ops.incidents left join ops.alert_marks as marks using (fingerprint) where incident_id = %s""",
        [incident_id],
    ).fetchone()


def _topic(incident_id: int) -> str:
    return f"incident {incident_id} opened"


def _key(incident: dict, what: str) -> str:
    """Names a message for ever: an id alone would come again in another warehouse."""
    return f"incident {incident['incident_id']} {incident['fingerprint']} {incident['opened_hour']} {what}"
