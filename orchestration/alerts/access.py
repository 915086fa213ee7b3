"""Who reads personal data otherwise than they use to: far more rows, other tables, at other hours of the day.

What is read stands in the audit, from which a reader's habits follow; nothing is said of who has none yet.
"""

from datetime import datetime

import psycopg

from orchestration.settings import tenant

# Of each reader, the newest day of 24 hours beside the 56 days before it. What is read is a table or a report; of a
# person's own data, the kind of access. `far_hours` are hours of the clock more than two away from any at which they
# read before.
_UNUSUAL = """
    with reads as (
        select
            actor,
            at,
            case when action in ('export', 'report sent') then subject else action end as what,
            coalesce(rows, 1) as rows,
            extract(hour from at at time zone %(zone)s)::integer as clock,
            at > %(now)s - interval '24 hours' as is_new
        from (
            select distinct at, actor, action, subject, rows  -- a row a field
            from api.personal_data_access
            where at > %(now)s - interval '57 days' and at <= %(now)s
        ) as accesses
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
            array_agg(distinct what order by what) filter (where not exists (
                select from reads as before
                where before.actor = reads.actor and not before.is_new and before.what = reads.what
            )) as new_tables,
            array_agg(distinct clock order by clock) filter (where not exists (
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


def unusual(connection: psycopg.Connection, now: datetime) -> list[tuple[str, datetime, int, str]]:
    """Each reader whose newest day is unlike them: who, when they read last, how many rows that day, a sentence."""
    values = {"now": now, "zone": tenant().timezone, "days": HABIT_DAYS, "many": MANY_ROWS, "times": TIMES}
    return [(row["actor"], row["at"], int(row["rows"]), _sentence(row)) for row in connection.execute(_UNUSUAL, values)]


def _sentence(row: dict) -> str:
    parts = []
    if row["rows"] > max(MANY_ROWS, TIMES * row["most_rows"]):
        parts.append(f"{int(row['rows']):,} rows in a day, at most {int(row['most_rows']):,} before")
    if row["new_tables"]:
        parts.append(f"for the first time {', '.join(row['new_tables'])}")
    if row["far_hours"]:
        parts.append(f"at {', '.join(f'{hour}:00' for hour in row['far_hours'])}, when they never did")
    return f"{row['actor']} read personal data otherwise than usual: {'; '.join(parts)}."
