"""Requests that were served: status and latency."""

from expectations.declaration import Suite, holds

SUITE = Suite(
    table="staging.stg_requests",
    reads="staging.stg_requests_checked",
    columns=("occurred_at", "held_reason"),
    scope="days",
    time="occurred_at",
    expectations=holds("requests"),
)
