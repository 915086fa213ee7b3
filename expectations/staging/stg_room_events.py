"""What happened in rooms."""

from expectations.declaration import Suite, never_null, one_of, share_by_day

SUITE = Suite(
    table="staging.stg_room_events",
    columns=("occurred_at", "event_type", "room_id"),
    scope="days",
    time="occurred_at",
    expectations=(
        one_of(
            "event_type",
            (
                "room_created",
                "room_joined",
                "room_started",
                "room_paused",
                "room_resumed",
                "vote_cast",
                "room_matched",
                "room_completed",
                "room_abandoned",
            ),
        ),
        never_null("room_id", "warning"),
        share_by_day("rooms by day", "room_id is null", things="events in rooms", fault="name no room"),
    ),
)
