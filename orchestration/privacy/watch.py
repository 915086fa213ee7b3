"""Who reads personal data otherwise than they use to: far more rows, other tables, at other hours of the day.

What is read stands in `ops.audit`, from which a reader's habits follow; nothing is said of who has none yet. What is
unusual opens an incident, one per reader and day, of which the alerts tell.
"""

from datetime import datetime

import psycopg
from psycopg.types.json import Jsonb

from orchestration.settings import tenant

RULE = "unusual_access"

# Of each reader, the newest day of 24 hours beside the 56 days before it. What is read is a table where the row names
# one, else the kind of access. `far_hours` are hours of the clock more than two away from any that they read at before.
_UNUSUAL = """
    with reads as (
        select
            actor,
            at,
            coalesce(detail ->> 'table', action) as what,
            coalesce(ops.number_of(detail -> 'rows'), 1) as rows,
            extract(hour from at at time zone %(zone)s)::integer as clock,
            at > %(now)s - interval '24 hours' as is_new
        from ops.audit
        where at > %(now)s - interval '57 days' and at <= %(now)s and jsonb_typeof(detail -> 'personal') = 'array'
    ),
    days as (
        select actor, date_trunc('day', at, %(zone)s) as day, sum(rows) as rows
        from reads where not is_new group by 1, 2
    ),
    habits as (
        select actor, count(*) as days, max(rows) as most_rows from days group by 1
    ),
    newest as (
        select
            reads.actor,
            max(reads.at) as at,
            sum(reads.rows) as rows,
            array_agg(distinct what) filter (where not exists (
                select from reads as before
                where before.actor = reads.actor and not before.is_new and before.what = reads.what
            )) as new_tables,
            array_agg(distinct clock) filter (where not exists (
                select from reads as before
                where before.actor = reads.actor and not before.is_new
                  and least(abs(before.clock - reads.clock), 24 - abs(before.clock - reads.clock)) <= 2
            )) as far_hours
        from reads
        where is_new
        group by 1
    )
    select actor, at, rows, most_rows, new_tables, far_hours
    from newest join habits using (actor)
    where habits.days >= %(days)s
      and (rows > greatest(%(many)s, %(times)s * most_rows) or new_tables is not null or far_hours is not null)
    order by actor"""
HABIT_DAYS, MANY_ROWS, TIMES = 7, 1_000, 5


def watch(connection: psycopg.Connection, now: datetime) -> list[str]:
    """Open an incident for each reader whose newest day is unlike them; return a sentence for each that is new."""
    zone = tenant().timezone
    values = {"now": now, "zone": zone, "days": HABIT_DAYS, "many": MANY_ROWS, "times": TIMES}
    opened = []
    for actor, at, rows, most_rows, new_tables, far_hours in connection.execute(_UNUSUAL, values).fetchall():
        sentence = _sentence(actor, rows, most_rows, new_tables, far_hours)
        fingerprint = f"{RULE}|{actor}|{at:%Y-%m-%d}"
        evidence = {"rows": int(rows), "most_rows_before": int(most_rows), "new": new_tables, "hours": far_hours}
        found = connection.execute(
            """insert into ops.incidents (rule, fingerprint, metric, segment, severity, status, opened_hour, value,
                                          expected, detail, evidence)
               select %(rule)s, %(fingerprint)s, 'personal_data_read', %(segment)s, 'critical', 'open',
                      date_trunc('hour', %(at)s::timestamptz), %(rows)s, %(most)s, %(detail)s, %(evidence)s
               where not exists (select from ops.incidents where fingerprint = %(fingerprint)s)
               returning incident_id""",
            {
                "rule": RULE,
                "fingerprint": fingerprint,
                "segment": f"actor={actor}",
                "at": at,
                "rows": rows,
                "most": most_rows,
                "detail": sentence,
                "evidence": Jsonb(evidence),
            },
        ).fetchone()
        if found:
            opened.append(sentence)
    return opened


def _sentence(actor: str, rows: int, most_rows: int, new_tables: list | None, far_hours: list | None) -> str:
    parts = []
    if rows > max(MANY_ROWS, TIMES * most_rows):
        parts.append(f"{int(rows):,} rows in a day, at most {int(most_rows):,} before")
    if new_tables:
        parts.append(f"for the first time {', '.join(sorted(new_tables))}")
    if far_hours:
        parts.append(f"at {', '.join(f'{hour}:00' for hour in sorted(far_hours))}, when they never did")
    return f"{actor} read personal data otherwise than usual: {'; '.join(parts)}."
