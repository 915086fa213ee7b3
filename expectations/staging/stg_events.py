"""All events with their hour and system."""

from expectations.declaration import Suite, never_null, no_rows, one_of

SUITE = Suite(
    table="staging.stg_events",
    columns=("source", "event_id", "event_type", "occurred_at", "hour", "system"),
    scope="hours",
    time="occurred_at",
    expectations=(
        never_null("event_type"),
        one_of("system", ("engagement", "learning", "rooms", "shop", "marketplace", "system", "other")),
        no_rows(
            "events lie in their hour",
            """select count(*) as events
               from {batch} as judged
               where (occurred_at >= hour and occurred_at < hour + interval '1 hour') is not true
               having count(*) > 0""",
            description="Every event happened in the hour that it is counted in.",
            says="{events:,} events happened outside of the hour that they are counted in",
        ),
    ),
)
