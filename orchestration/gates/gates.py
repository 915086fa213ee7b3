"""Judges what changed in a table since it last passed its gate, and records the outcome. What is expected is said in
`expectations/`; what stops when a gate fails is Dagster's and `ops.held_tables`' to say.

A gate has a tide mark of its own, `gate:<table>`. On a pass or a warning it moves to the run's high mark; on a failure
it stays, so every later run judges the same hours again until they pass.
"""

import psycopg
from psycopg.types.json import Jsonb

from expectations import GateResult, Suite, validate
from orchestration.errors import TidemarkError
from orchestration.warehouse import database, marks


def judge(connection: psycopg.Connection, suite: Suite, run_id: str) -> GateResult | None:
    """Judge the rows of a table that changed up to the run's high mark; None when none did.

    `connection` is outside of a transaction; the outcome is committed with its block, also when the table failed.
    One gate of a table is judged at a time. Raises TidemarkError when the table cannot be judged.
    """
    high = marks.high_mark(connection, run_id)
    connection.commit()
    connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [gate_name(suite.table)])
    if suite.scope == "newest load":
        return _judge_predictions(connection, suite, run_id)
    after = marks.mark(connection, gate_name(suite.table))
    hours = marks.touched_hours(connection, after, high)
    if hours == 0:
        return None
    if _events_remain(connection, after, high):
        result = _validate(suite, changed_rows(suite, after, high, _zone(connection)))
    else:
        result = GateResult(suite.table, 0, ())  # all that was touched is gone: nothing is left to be wrong
    _record(connection, result, run_id, high, hours)
    return result


def gate_name(table: str) -> str:
    """The name of a gate's mark in `ops.tidemarks`."""
    return f"gate:{table}"


def changed_rows(suite: Suite, after: int, high: int, zone: str) -> str:
    """The SELECT of the rows that lie in the hours, or the days of the hours, touched by the loads in (after, high].

    Events are found hour by hour through the index on `occurred_at`, whatever the planner believes: a range of moments
    for each (`offset 0` keeps it from joining otherwise) lets it read no other partition. In the marts, a load may also
    have changed hours without touching them, where a session of its events had begun before.
    """
    columns = ", ".join(suite.columns)
    changed = "raw.touched_hours" if suite.time == "occurred_at" else "ops.changed_hours"
    touched = f"select distinct hour from {changed} where load_id > {after} and load_id <= {high}"
    if suite.time == "occurred_at":
        spans, condition = (
            (_day_spans(touched, zone), "true")
            if suite.scope == "days"
            else (_hour_spans(touched), f"{_hour(suite, zone)} = starts_at")
        )
        return f"""select {columns} from ({spans}) as spans
                   cross join lateral (
                       select {columns} from {suite.relation}
                       where occurred_at >= starts_at and occurred_at < ends_at and {condition}
                       offset 0
                   ) as events"""
    if suite.time == "start_date":
        return f"""select {columns} from {suite.relation} where (grain, start_date) in (
                       select grain, date_trunc(grain, ops.day_of(hour, '{zone}')::timestamp)::date
                       from ({touched}) as touched
                       cross join unnest(array['week', 'month', 'quarter']) as grains (grain))"""
    if suite.time in ("day", "week"):
        day = f"ops.day_of(hour, '{zone}')"
        day = f"date_trunc('week', {day}::timestamp)::date" if suite.time == "week" else day
        touched = f"select {day} from ({touched}) as touched"
    return f"select {columns} from {suite.relation} where {suite.time} in ({touched})"


def _hour(suite: Suite, zone: str) -> str:
    if suite.table != "raw.events":
        return "hour"
    origin = "(select hour_origin from ops.tenant)"
    return f"coalesce(date_bin('1 hour', occurred_at, {origin}), ops.hour_of(occurred_at, '{zone}'))"


def _hour_spans(touched: str) -> str:
    return f"select hour as starts_at, hour + interval '1 hour' as ends_at from ({touched}) as touched"


def _day_spans(touched: str, zone: str) -> str:
    return f"""select day::timestamp at time zone '{zone}' as starts_at,
                      (day + 1)::timestamp at time zone '{zone}' as ends_at
               from (select distinct ops.day_of(hour, '{zone}') as day from ({touched}) as touched) as days"""


def _judge_predictions(connection: psycopg.Connection, suite: Suite, run_id: str) -> GateResult | None:
    """Judge what the models made last, each time: predictions are few, and a load may be predicted from twice."""
    newest = connection.execute(f"select max(load_id) from {suite.table}").fetchone()[0]
    if newest is None:
        return None
    columns = ", ".join(suite.columns)
    result = _validate(suite, f"select {columns} from {suite.table} where load_id = {newest}")
    _record(connection, result, run_id, newest, hours=0)
    return result


def _events_remain(connection: psycopg.Connection, after: int, high: int) -> bool:
    query = """select exists (
                   select from raw.touched_hours as touched
                   cross join lateral (
                       select from raw.events
                       where occurred_at >= touched.hour and occurred_at < touched.hour + interval '1 hour'
                       limit 1
                   ) as events
                   where touched.load_id > %s and touched.load_id <= %s)"""
    return connection.execute(query, [after, high]).fetchone()[0]


def _zone(connection: psycopg.Connection) -> str:
    return connection.execute("select ops.timezone()").fetchone()[0]


def _validate(suite: Suite, rows: str) -> GateResult:
    try:
        return validate(suite, suite.table, database.url("transformer"), rows)
    except ValueError as error:
        raise TidemarkError(str(error)) from error


def _record(connection: psycopg.Connection, result: GateResult, run_id: str, load_id: int, hours: int) -> None:
    """Write the outcome, and move the gate's mark unless it failed: in one transaction, the caller's."""
    connection.execute(
        """insert into ops.gate_results (table_name, run_id, load_id, status, hours_checked, rows_checked, results)
           values (%s, %s, %s, %s, %s, %s, %s)""",
        [result.table, run_id, load_id, result.status, hours, result.rows, Jsonb(result.results_as_json())],
    )
    if result.status != "failed":
        marks.set_mark(connection, gate_name(result.table), load_id)
