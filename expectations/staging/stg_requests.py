"""Requests that were served: status and latency."""

from expectations.declaration import Suite, between, never_null, share_by_day

SUITE = Suite(
    table="staging.stg_requests",
    columns=("occurred_at", "status", "latency_ms"),
    scope="days",
    time="occurred_at",
    expectations=(
        never_null("status", "warning"),
        between("status", 100, 599, "warning"),
        share_by_day(
            "statuses by day",
            "status is null or status not between 100 and 599",
            things="requests",
            fault="have a status that is missing or outside 100..599",
        ),
        between("latency_ms", 0, severity="warning"),
        share_by_day("latencies by day", "latency_ms < 0", things="requests", fault="took less than no time"),
    ),
)
