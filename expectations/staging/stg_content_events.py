"""What people viewed, started, completed and rated."""

from expectations.declaration import Suite, between, never_null, one_of, share_by_day

SUITE = Suite(
    table="staging.stg_content_events",
    columns=("occurred_at", "event_type", "content_id", "rating"),
    scope="days",
    time="occurred_at",
    expectations=(
        one_of("event_type", ("content_viewed", "content_started", "content_completed", "content_rated")),
        never_null("content_id", "warning"),
        share_by_day(
            "content by day", "content_id is null", things="events on content", fault="name no content", allowed=0.05
        ),
        between("rating", 1, 5, "warning"),
        share_by_day(
            "ratings by day",
            "event_type = 'content_rated' and rating not between 1 and 5",
            things="events on content",
            fault="have a rating outside 1..5",
        ),
    ),
)
