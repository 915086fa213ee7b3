"""Raw events: what ingest promises of every row. What the properties of an event say is judged in staging."""

from expectations.declaration import Suite, between, never_null, no_rows, unique

SUITE = Suite(
    table="raw.events",
    columns=("source", "event_id", "event_type", "occurred_at", "received_at", "load_id"),
    scope="hours",
    time="occurred_at",
    expectations=(
        never_null("source"),
        never_null("event_id"),
        never_null("event_type"),
        never_null("received_at"),
        between("occurred_at", "1990-01-01T00:00:00+00:00"),
        unique("source", "event_id"),
        no_rows(
            "source is known",
            """select load_id, count(*) as events
               from {batch} as judged
               left join raw.loads using (load_id, source)
               where loads.load_id is null
               group by load_id
               order by load_id""",
            description="Every event belongs to a committed load of its source.",
            says="{events:,} events name load {load_id}, which is no committed load of their source",
        ),
        no_rows(
            "nothing from the future",
            """select load_id, count(*) as events, max(judged.occurred_at) as newest
               from {batch} as judged
               join raw.loads using (load_id, source)
               where judged.occurred_at > loads.committed_at + interval '5 minutes'
               group by load_id
               order by load_id""",
            description="No event happened more than five minutes after it was loaded.",
            says="{events:,} events of load {load_id} lie in its future, the last at {newest:%Y-%m-%d %H:%M} UTC",
        ),
        no_rows(
            "event types are named",
            """select count(*) as events from {batch} as judged where btrim(event_type) = '' having count(*) > 0""",
            description="Every event says what happened.",
            says="{events:,} events have a blank event_type",
        ),
        no_rows(
            "few are quarantined",
            """select load_id, received, quarantined, 100.0 * quarantined / received as percent
               from raw.loads
               where load_id in (select load_id from {batch} as judged) and quarantined > 0.05 * received
               order by load_id""",
            description="Of no load, more than 5 % of the records are quarantined.",
            says="{percent:.1f} % of the {received:,} records of load {load_id} are quarantined (allowed: 5 %)",
            severity="warning",
        ),
    ),
)
