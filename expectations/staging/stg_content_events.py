"""What people viewed, started, completed and rated."""

from expectations.declaration import Suite, holds

SUITE = Suite(
    table="staging.stg_content_events",
    reads="staging.stg_content_events_checked",
    columns=("occurred_at", "held_reason"),
    scope="days",
    time="occurred_at",
    expectations=holds("events on content"),
)
