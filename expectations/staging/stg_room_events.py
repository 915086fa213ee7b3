"""What happened in rooms."""

from expectations.declaration import Suite, holds

SUITE = Suite(
    table="staging.stg_room_events",
    reads="staging.stg_room_events_checked",
    columns=("occurred_at", "held_reason"),
    scope="days",
    time="occurred_at",
    expectations=holds("events in rooms"),
)
