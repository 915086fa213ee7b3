"""Sessions: none without an action, and none that goes on from the one before."""

from expectations.declaration import Suite, between, never_null, no_rows, unique

SUITE = Suite(
    table="marts.sessions",
    columns=("user_id", "hour", "started_at", "ended_at", "length_seconds", "actions"),
    scope="hours",
    time="hour",
    expectations=(
        never_null("user_id"),
        never_null("ended_at"),
        unique("user_id", "started_at"),
        between("length_seconds", 0),
        between("actions", 1),
        no_rows(
            "silence lies between sessions",
            """select count(*) as sessions
               from (
                   select started_at, lag(ended_at) over (partition by user_id order by started_at) as previous_ended_at
                   from {batch} as judged
               ) as spaced
               where started_at - previous_ended_at <= interval '30 minutes'
               having count(*) > 0""",
            description="A session begins more than 30 minutes after the person's last one ended.",
            says="{sessions:,} sessions begin within 30 minutes of the one before",
        ),
    ),
)
