"""One evaluation of all rules: a transaction over incidents, marks and messages. Rules about data come first."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial

import psycopg
from psycopg.types.json import Jsonb

from orchestration.alerts import causes, incidents, notifications, series, standing, telling
from orchestration.alerts.lineage import Lineage
from orchestration.alerts.rules import breaches, check_metrics, covers, fingerprint, limits
from orchestration.alerts.walk import Reading, State, Transition, walk
from orchestration.errors import TidemarkError
from orchestration.settings import (
    Alerts,
    ChangeRule,
    MetricRule,
    ObjectiveRule,
    Rule,
    StandingRule,
    VolumeRule,
    tenant,
)

_LOCK = 7_461_003  # 7_461_001 is held by migrations, 7_461_002 by loads
BROKEN = "rule"  # what an incident is about when its rule cannot be evaluated
EXPLAINED = 25  # incidents of one evaluation whose causes are looked for: in a storm, more would only be late


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation did: incidents that opened and resolved, messages that were queued, rules that wait.

    `broken` says of each rule that could not be evaluated why.
    """

    opened: int
    resolved: int
    notified: int
    waiting: int = 0
    broken: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suspicion:
    """A table that cannot be trusted: now, or over hours in which nothing of it came (of a source, or at all).

    `staging` are the tables that the source has rows in, where that is known.
    """

    relation: str
    is_open: bool
    begin: datetime
    end: datetime | None
    source: str | None
    staging: frozenset[str] | None

    def touches(self, rule: Rule, lineage: Lineage) -> bool:
        """Whether a rule's figures may be wrong because of it."""
        is_made_of_it = self.relation in lineage.depends(rule)
        return is_made_of_it and (self.staging is None or bool(self.staging & lineage.feeds(rule)))


class Round:
    """What the rules of one evaluation share: the connection, the time, and what is suspected of the data."""

    def __init__(self, connection: psycopg.Connection, config: Alerts, now: datetime, lineage: Lineage):
        self.connection, self.config, self.now, self.lineage = connection, config, now, lineage
        self.as_of = {grain: series.newest(connection, grain) for grain in series.STEP}
        self.metrics = series.catalogue(connection) if self.as_of["hour"] else {}
        self.tenant = tenant()
        self.broken = {row["fingerprint"] for row in incidents.open_incidents(connection) if row["metric"] == BROKEN}
        self.opened: set[int] = set()
        self.resolved: set[int] = set()

    @property
    def hour(self) -> datetime:
        """The newest final hour, or the time before anything was published."""
        return self.as_of["hour"] or self.now


class States:
    """Where the walks of one rule stand, read at once and written at once: a rule may have thousands of series."""

    def __init__(self, connection: psycopg.Connection, rule_name: str):
        self._connection, self._changed = connection, {}
        prefix = fingerprint(rule_name, "")
        rows = connection.execute(
            """select fingerprint, incident_id, is_settled and told_at is null as is_settled from ops.incidents
               where rule = %s and status <> 'resolved' and metric <> %s""",
            [rule_name, BROKEN],
        ).fetchall()
        self.open = {row["fingerprint"] for row in rows}
        self.settled = {row["fingerprint"]: row["incident_id"] for row in rows if row["is_settled"]}
        saved = connection.execute(
            "select fingerprint, state from ops.alert_marks where starts_with(fingerprint, %s)", [prefix]
        )
        self.known = {cause: State(is_open=True) for cause in self.open}
        for row in saved:
            state = _state(row["state"])
            if state.is_open == (row["fingerprint"] in self.open):  # else somebody resolved it
                self.known[row["fingerprint"]] = state

    def of(self, cause: str) -> State:
        return self.known.get(cause, State())

    def keep(self, cause: str, at: datetime, state: State) -> None:
        self.known[cause] = state
        self._changed[cause] = (at, state)

    def save(self) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(
                """insert into ops.alert_marks (fingerprint, hour, state) values (%s, %s, %s)
                   on conflict (fingerprint) do update set hour = excluded.hour, state = excluded.state""",
                [(cause, at, Jsonb(_saved(state))) for cause, (at, state) in self._changed.items()],
            )


def evaluate(connection: psycopg.Connection, config: Alerts, now: datetime, lineage: Lineage) -> Evaluation:
    """Walk every rule over what it has not seen, in the transaction of `connection`, whose rows are dictionaries.

    Opens and resolves incidents, moves the marks, and queues what is to be told at `now`. What was evaluated before
    stays as it is, also where a step was restated since. A rule whose tables an open data incident names waits; steps
    that a source left out are no evidence. A rule that cannot be evaluated (its metric or view does not exist) has an
    incident that says so, and stops no other.
    """
    connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
    # Whoever answers meanwhile waits, so that nothing is told of what was just taken care of.
    connection.execute("select from ops.incidents where status <> 'resolved' order by incident_id for update")
    this = Round(connection, config, now, lineage)
    _close_unwatched(this)
    broken = []
    for name, rule in config.rules.items():
        if rule.is_about_data:
            broken += _tried(this, name, rule)
    waiting = 0
    suspicions = _suspicions(connection)
    for name, rule in config.rules.items():
        if not rule.is_about_data:
            touching = [one for one in suspicions if one.touches(rule, lineage)]
            if any(one.is_open for one in touching):
                waiting += 1
            else:
                without = [one.source for one in suspicions if one.is_open and one.source and one not in touching]
                broken += _tried(this, name, rule, partial(_is_evidence, connection, touching), without)
    notified = telling.tell(connection, config, now, this.opened)
    return Evaluation(len(this.opened), len(this.resolved), notified, waiting, tuple(broken))


def _tried(this: Round, name: str, rule: Rule, *how) -> list[str]:
    """Follow a rule, or open an incident that says why it cannot be followed, and return that."""
    cause = fingerprint(name, BROKEN)
    is_open = cause in this.broken
    try:
        with this.connection.transaction():
            if this.metrics:
                check_metrics(name, rule, this.metrics)
            follow(this, name, rule, *how)
    except (TidemarkError, psycopg.ProgrammingError) as error:
        sentence = " ".join(str(error).split())
        if not is_open:
            finding = standing.Finding("all", None, f"The rule {name} cannot be evaluated: {sentence}")
            this.opened.add(_open_standing(this, name, rule, cause, finding, BROKEN))
        return [sentence]
    if is_open:
        this.resolved.add(incidents.end(this.connection, this.now, cause, this.hour))
    return []


def follow(
    this: Round,
    name: str,
    rule: Rule,
    is_evidence: Callable[[Reading], bool] = lambda _: True,
    without: Sequence[str] = (),
) -> None:
    """Walk one rule over what it has not seen. It does not depend on the sources `without`, and waits for none."""
    states = States(this.connection, name)
    if isinstance(rule, StandingRule):
        follow_standing(this, states, name, rule)
    else:
        grain = "hour" if isinstance(rule, VolumeRule) else rule.step
        as_of, ready = this.as_of[grain], series.NEVER
        if without:
            ready = series.ready(this.connection, list(without))
            as_of = series.newest(this.connection, grain, ready)
        if as_of:
            for segment, readings in list(series.unread(this.connection, name, rule, as_of, ready)):
                follow_series(this, states, name, rule, segment, readings, is_evidence)
    states.save()


def follow_series(
    this: Round,
    states: States,
    name: str,
    rule: MetricRule | VolumeRule,
    segment: str,
    readings: list[Reading],
    is_evidence: Callable[[Reading], bool] = lambda _: True,
) -> None:
    """Walk over the readings of one segment: open and resolve, and remember where the walk stands."""
    if not readings:
        return
    metric = "volume" if isinstance(rule, VolumeRule) else rule.metric
    cause = fingerprint(name, metric, segment)
    state = states.of(cause)
    transitions, after = walk(
        [one for one in readings if is_evidence(one)], state, partial(breaches, rule), rule.consecutive, rule.clear
    )
    opened = None
    for transition in transitions:
        if transition.opens:
            opened = _open(this, name, rule, metric, segment, cause, transition)
        else:
            this.resolved.add(incidents.end(this.connection, this.now, cause, transition.first.at))
    states.keep(cause, readings[-1].at, after)
    ended = transitions[-1].first.at if transitions and not after.is_open else readings[-1].at
    is_past = ended < this.as_of["hour" if isinstance(rule, VolumeRule) else rule.step] - this.config.notify_within
    if opened and is_past:
        _set_settled(this.connection, opened, True)
    elif cause in states.settled and after.is_open and not is_past:  # it was of the past, and still goes on
        _set_settled(this.connection, states.settled[cause], False)


def _open(
    this: Round,
    name: str,
    rule: MetricRule | VolumeRule,
    metric: str,
    segment: str,
    cause: str,
    transition: Transition,
) -> int:
    """Open an incident with the values of its first step, and with what may have caused it."""
    first = transition.first
    lo, hi = limits(rule, first)
    known = this.metrics.get(metric, {})
    evidence = {"unit": _unit(rule, known), "description": known.get("description", ""), "step": _step(rule)}
    if isinstance(rule, ChangeRule) and rule.over:
        evidence["over"] = rule.over // timedelta(hours=1)
    if isinstance(rule, MetricRule) and len(this.opened) < EXPLAINED:
        evidence |= causes.evidence(this.connection, rule, segment, known, first, transition.last)
    columns = {
        "rule": name,
        "fingerprint": cause,
        "metric": metric,
        "segment": segment,
        "severity": rule.severity,
        "owner": rule.owner,
        "relation": "raw.events" if rule.is_about_data else None,
        "opened_hour": first.at,
        "value": first.value,
        "expected": first.expected,
        "lo": lo,
        "hi": hi,
    }
    detail = notifications.sentence(columns, evidence, transition.streak, this.tenant)
    opened = incidents.begin(
        this.connection, this.now, this.config.reopen_within, columns | {"evidence": evidence, "detail": detail}
    )
    if len(this.opened) < EXPLAINED:
        also = causes.coincided(this.connection, opened, first.at, transition.last.at)
        this.connection.execute(
            "update ops.incidents set evidence = evidence || %s where incident_id = %s",
            [Jsonb({"coincided": also}), opened],
        )
    this.opened.add(opened)
    return opened


def _unit(rule: Rule, metric: dict) -> str:
    match rule:
        case ObjectiveRule():
            return "burn"
        case VolumeRule():
            return "events a session"
    return metric["unit"]


def _step(rule: Rule) -> str:
    return rule.step if isinstance(rule, MetricRule) else "hour"


def follow_standing(
    this: Round, states: States, name: str, rule: StandingRule, then: datetime | None = None
) -> set[str]:
    """One incident for each thing that is wrong now, until it no longer is. This evaluation is a step.

    Returns the segments of what is wrong. `then` is that of `standing.findings`.
    """
    known = [cause.removeprefix(fingerprint(name, "")) for cause in states.open]
    found = {one.segment: one for one in standing.findings(this.connection, name, rule, this.now, known, then)}
    at = max(this.hour, max((state.first.at for state in states.known.values() if state.first), default=this.hour))
    for segment in sorted(found.keys() | {cause.removeprefix(fingerprint(name, "")) for cause in states.known}):
        cause, finding = fingerprint(name, segment), found.get(segment)
        reading = Reading(at, 0.0 if finding is None else 1.0)
        transitions, after = walk([reading], states.of(cause), lambda one: one.value > 0, rule.consecutive, rule.clear)
        for transition in transitions:
            if transition.opens:
                this.opened.add(_open_standing(this, name, rule, cause, finding, rule.kind))
            else:
                this.resolved.add(incidents.end(this.connection, this.now, cause, this.hour))
        states.keep(cause, at, after)
    return set(found)


def _open_standing(this: Round, name: str, rule: Rule, cause: str, finding: standing.Finding, metric: str) -> int:
    evidence = {}
    if finding.source:
        evidence["staging"] = standing.fed(this.connection, finding.source, this.lineage.staging)
    columns = {
        "rule": name,
        "fingerprint": cause,
        "metric": metric,
        "segment": finding.segment,
        "severity": rule.severity,
        "owner": rule.owner,
        "relation": finding.relation if rule.is_about_data else None,
        "evidence": evidence,
        "opened_hour": finding.since or this.hour,
        "value": finding.value,
        "detail": finding.sentence,
    }
    return incidents.begin(this.connection, this.now, this.config.reopen_within, columns)


def _close_unwatched(this: Round) -> None:
    """Resolve the incidents that no rule watches any more: nothing else ever would."""
    for row in incidents.open_incidents(this.connection):
        rule = this.config.rules.get(row["rule"])
        is_watched = (isinstance(rule, MetricRule) and covers(rule, row["metric"], row["segment"])) or (
            rule is not None and row["metric"] == BROKEN
        )
        if not is_watched and not (
            isinstance(rule, StandingRule | VolumeRule) and row["metric"] == rule.kind and _is_of(rule, row)
        ):
            why = "No rule watches it any more."
            this.resolved.add(incidents.end(this.connection, this.now, row["fingerprint"], this.hour, why))


def _is_of(rule: Rule, row: dict) -> bool:
    """Whether a rule that names one table or source still names that of an incident."""
    return getattr(rule, "table", row["segment"]) == row["segment"]


def _suspicions(connection: psycopg.Connection) -> list[Suspicion]:
    """What the incidents about data say, open or not, of the weeks that may still be walked over."""
    rows = connection.execute(
        """select relation, status <> 'resolved' as is_open, opened_hour, resolved_hour, metric, segment,
               evidence -> 'staging' as staging
           from ops.incidents
           where relation is not null and (status <> 'resolved' or metric = 'volume'
               or (metric = 'absence' and segment <> 'all sources'))"""
    )
    return [
        Suspicion(
            row["relation"],
            row["is_open"],
            row["opened_hour"],
            row["resolved_hour"],
            row["segment"] if row["metric"] == "absence" and row["segment"] != "all sources" else None,
            frozenset(row["staging"]) if row["staging"] is not None else None,
        )
        for row in rows
    ]


def _is_evidence(connection: psycopg.Connection, suspicions: Iterable[Suspicion], reading: Reading) -> bool:
    """Whether a step says something: not where a source was away and has not brought the hour since."""
    for one in suspicions:
        if one.begin <= reading.at < one.end and (
            one.source is None or not _came_after_all(connection, one.source, reading.at)
        ):
            return False
    return True


def _came_after_all(connection: psycopg.Connection, source: str, at: datetime) -> bool:
    return connection.execute(
        """select exists (
               select from raw.touched_hours join raw.loads using (load_id)
               where source = %s and hour > %s and hour <= %s) as yes""",
        [source, at - timedelta(hours=1), at],
    ).fetchone()["yes"]


def _set_settled(connection: psycopg.Connection, incident_id: int, is_settled: bool) -> None:
    connection.execute("update ops.incidents set is_settled = %s where incident_id = %s", [is_settled, incident_id])


def _state(saved: dict) -> State:
    first = saved["first"] and Reading(**saved["first"] | {"at": datetime.fromisoformat(saved["first"]["at"])})
    return State(saved["is_open"], saved["streak"], first)


def _saved(state: State) -> dict:
    saved = asdict(state)
    if state.first:
        saved["first"]["at"] = state.first.at.isoformat()
    return saved
