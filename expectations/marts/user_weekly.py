"""What each person did in each complete week."""

from expectations.declaration import Suite, between, never_null, unique

SUITE = Suite(
    table="marts.user_weekly",
    columns=("user_id", "week", "active_days", "events", "lessons_completed"),
    scope="days",
    time="week",
    expectations=(
        never_null("user_id"),
        unique("user_id", "week"),
        between("active_days", 1, 7),
        between("events", 1),
        between("lessons_completed", 0),
    ),
)
