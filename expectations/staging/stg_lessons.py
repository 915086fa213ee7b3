"""Completed lessons: scores and durations."""

from expectations.declaration import Suite, between, share_by_day

SUITE = Suite(
    table="staging.stg_lessons",
    columns=("occurred_at", "score", "duration_seconds"),
    scope="days",
    time="occurred_at",
    expectations=(
        between("score", 0, 100, "warning"),
        share_by_day("scores by day", "score not between 0 and 100", things="scores", fault="lie outside 0..100"),
        between("duration_seconds", 0, severity="warning"),
        share_by_day("durations by day", "duration_seconds < 0", things="lessons", fault="last less than no time"),
    ),
)
