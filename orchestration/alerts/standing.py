"""What rules about the present find wrong now: gates, changed events, late tables, silent sources, counts of rows, and
who reads personal data otherwise than usual."""

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql

from orchestration.alerts import access, series
from orchestration.errors import TidemarkError
from orchestration.settings import (
    AbsenceRule,
    AccessRule,
    FreshnessRule,
    GateRule,
    RowsRule,
    SchemaRule,
    StandingRule,
    place,
)


@dataclass(frozen=True)
class Finding:
    """Something that is wrong. `since` is the hour of event time in which it began, where there is one.

    `relation` is the table that cannot be trusted, if it is about one, and `source` the one whose rows in it are meant.
    """

    segment: str
    since: datetime | None
    sentence: str
    relation: str | None = None
    value: float | None = None
    source: str | None = None


_FAILED = "'Its gate failed without naming an expectation.'"
_GATE = f"select table_name as segment, coalesce(sentence, {_FAILED}) as sentence from ops.held_tables"
_GATE_THEN = f"""
select table_name as segment, coalesce(
    (select table_name || ': ' || string_agg(result ->> 'says', '; ')
     from jsonb_array_elements(results) as result
     where result ->> 'severity' = 'error' and not (result ->> 'success')::boolean), {_FAILED}) as sentence
from (
    select distinct on (table_name) table_name, status, results from ops.gate_results
    where evaluated_at <= %(then)s
    order by table_name, gate_result_id desc
) as newest
where status = 'failed'
"""

# When something may have changed that a rule looks at; else it is looked at every hour.
_MOMENTS = """
select at from (
    select evaluated_at as at from ops.gate_results where %(is_gate)s
    union
    select committed_at from raw.loads where not %(is_gate)s
    union
    select generate_series(%(start)s::timestamptz, %(end)s::timestamptz, interval '1 hour')
) as moments
where at >= %(start)s and at < %(end)s
order by at
"""

_SCHEMA = """
select distinct on (segment) segment, ops.hour_of(changed_at, ops.timezone()) as since,
    source || ': ' || field || ' of ' || event_type || ' ' || detail as sentence
from (
    select *, concat_ws(' ', source, event_type, field) as segment,
        case when change = 'vanished' then last_at else first_at end as changed_at
    from ops.schema_changes where is_open
) as changes
order by segment, load_id desc, change
"""

# The first load that the table has not taken in, if it has waited for too long.
_FRESHNESS = """
select marks.table_name, waiting.committed_at
from ops.tidemarks as marks
cross join lateral (
    select committed_at from raw.loads where load_id > marks.load_id order by load_id limit 1
) as waiting
where marks.table_name = %(table)s and waiting.committed_at < %(now)s - %(within)s::interval
"""

# Late: behind the newest event of all. A source that was a week behind when it was first looked at has long ended, or
# brings the past; one that fell behind while it was watched stays late until it is back.
_LATE = """
with sources as (
    select source, max(newest_at) as newest_at from raw.loads
    where newest_at is not null and committed_at <= coalesce(%(then)s, 'infinity'::timestamptz)
    group by source
)

select source, ops.hour_of(newest_at, ops.timezone()) as since, newest_at,
    (select max(newest_at) from sources) - newest_at as behind
from sources
where %(source)s in ('*', source)
  and newest_at < (select max(newest_at) from sources) - %(late)s::interval
  and (newest_at > (select max(newest_at) from sources) - interval '7 days' or source = any(%(known)s))
order by source
"""

# The newest events of each type of a source: what they are is what it sends.
_SAMPLE = """
select array_agg(event_id) as ids, array_agg(distinct occurred_at) as times
from (select source, event_type, max(last_at) as last_at from raw.fields where source = %s group by 1, 2) as types
cross join lateral (
    select event_id, occurred_at from raw.events
    where events.source = types.source and events.event_type = types.event_type
      and occurred_at between types.last_at - interval '1 hour' and types.last_at
    order by occurred_at desc limit 3
) as newest
"""

_SILENT = """
select max(committed_at) as committed_at from raw.loads
where committed_at <= coalesce(%(then)s, 'infinity'::timestamptz)
"""


def findings(
    connection: psycopg.Connection,
    name: str,
    rule: StandingRule,
    now: datetime,
    known: list[str],
    then: datetime | None = None,
) -> list[Finding]:
    """What a rule finds wrong at `now`. `known` are the segments of its open incidents.

    With `then`, a rule of kind gate or absence is told what stood in the warehouse at that time.
    """
    match rule:
        case GateRule():
            rows = connection.execute(_GATE_THEN if then else _GATE, {"then": then})
            return [Finding(row["segment"], None, row["sentence"], row["segment"]) for row in rows]
        case SchemaRule():
            return [Finding(row["segment"], row["since"], row["sentence"]) for row in connection.execute(_SCHEMA)]
        case FreshnessRule():
            return _late_table(connection, rule, now)
        case AbsenceRule():
            return _absent(connection, rule, now, known, then)
        case RowsRule():
            return _rows(connection, name, rule)
        case AccessRule():
            if not series.exists(connection, "api.personal_data_access"):
                return []
            return [
                Finding(actor, at.replace(minute=0, second=0, microsecond=0), sentence, value=rows)
                for actor, at, rows, sentence in access.unusual(connection, now)
            ]
    raise TypeError(f"{type(rule).__name__} is not a rule about the present")


def _late_table(connection: psycopg.Connection, rule: FreshnessRule, now: datetime) -> list[Finding]:
    row = connection.execute(_FRESHNESS, {"table": rule.table, "now": now, "within": rule.within}).fetchone()
    if row is None:
        return []
    sentence = (
        f"{rule.table} has not taken in what was loaded at {row['committed_at']:%Y-%m-%d %H:%M} UTC, "
        f"and should within {rule.within}."
    )
    return [Finding(rule.table, None, sentence, rule.table)]


def moments(connection: psycopg.Connection, rule: StandingRule, start: datetime, end: datetime) -> list[datetime]:
    """When a rule of kind gate or absence would have been evaluated in [start, end)."""
    span = {"is_gate": isinstance(rule, GateRule), "start": start, "end": end}
    return [row["at"] for row in connection.execute(_MOMENTS, span)]


def _absent(
    connection: psycopg.Connection, rule: AbsenceRule, now: datetime, known: list[str], then: datetime | None
) -> list[Finding]:
    newest = connection.execute(_SILENT, {"then": then}).fetchone()
    if newest["committed_at"] is None:
        return []
    if rule.source == "*" and newest["committed_at"] < now - rule.silent:
        sentence = f"Nothing was loaded of any source since {newest['committed_at']:%Y-%m-%d %H:%M} UTC."
        return [Finding("all sources", None, sentence, "raw.events")]
    rows = connection.execute(_LATE, {"source": rule.source, "late": rule.late, "known": known, "then": then})
    return [
        Finding(
            row["source"],
            row["since"],
            f"The newest event of {row['source']} is of {row['newest_at']:%Y-%m-%d %H:%M} UTC, "
            f"{row['behind']} behind the newest of all.",
            "raw.events",
            source=row["source"],
        )
        for row in rows
    ]


def fed(connection: psycopg.Connection, source: str, staging: list[str]) -> list[str] | None:
    """The staging tables in which the newest events of each type of a source stand; None where none is known."""
    newest = connection.execute(_SAMPLE, [source]).fetchone()
    if newest["ids"] is None:
        return None
    holds = sql.SQL("select exists (select from {} where source = %s and event_id = any(%s) and occurred_at = any(%s))")
    return [
        relation
        for relation in staging
        if series.exists(connection, relation)
        and connection.execute(
            holds.format(sql.Identifier(*relation.split("."))), [source, newest["ids"], newest["times"]]
        ).fetchone()["exists"]
    ]


def _rows(connection: psycopg.Connection, name: str, rule: RowsRule) -> list[Finding]:
    if not series.exists(connection, f"api.{rule.view}"):
        raise TidemarkError(
            f"{place('alerts.yml', 'rules', name, 'view')} rules.{name}.view: there is no view api.{rule.view}: "
            "name one of the schema api, or build it with `./tidemark refresh`."
        )
    conditions = [
        sql.SQL("{} = {}").format(sql.Identifier(key), sql.Literal(value)) for key, value in rule.where.items()
    ]
    query = sql.SQL("select count(*) as rows from api.{} where {}").format(
        sql.Identifier(rule.view), sql.SQL(" and ").join(conditions or [sql.SQL("true")])
    )
    try:
        with connection.transaction():
            count = connection.execute(query).fetchone()["rows"]
    except psycopg.errors.UndefinedColumn as error:
        raise TidemarkError(
            f"{place('alerts.yml', 'rules', name, 'where')} rules.{name}.where: api.{rule.view} has no such column "
            f"({error.diag.message_primary})."
        ) from error
    which = ", ".join(f"{key} = {value}" for key, value in rule.where.items())
    words = f"api.{rule.view} has {count:,} rows{' with ' + which if which else ''}"
    if rule.above is not None and count > rule.above:
        return [Finding("all", None, f"{words}, more than {rule.above:,}.", value=count)]
    if rule.below is not None and count < rule.below:
        return [Finding("all", None, f"{words}, fewer than {rule.below:,}.", value=count)]
    return []
