"""Completed lessons: scores and durations."""

from expectations.declaration import Suite, holds

SUITE = Suite(
    table="staging.stg_lessons",
    reads="staging.stg_lessons_checked",
    columns=("occurred_at", "held_reason"),
    scope="days",
    time="occurred_at",
    expectations=holds("lessons"),
)
