"""What each person did on each day. Sentences speak of numbers of rows, never of a person."""

from expectations.declaration import Suite, between, never_null, unique

SUITE = Suite(
    table="marts.user_daily",
    columns=(
        "user_id",
        "day",
        "events",
        "active_hours",
        "sessions",
        "lessons_completed",
        "average_score",
        "orders",
        "revenue",
    ),
    scope="days",
    time="day",
    expectations=(
        never_null("user_id"),
        never_null("day"),
        unique("user_id", "day"),
        between("events", 1),
        between("active_hours", 1, 26),  # a day of 25 hours touches 26 where zones shift by half an hour
        between("sessions", 0),
        between("lessons_completed", 0),
        between("average_score", 0, 100, "warning"),  # one odd score can do it: a day of them fails in staging
        between("orders", 0),
        never_null("revenue"),
    ),
)
