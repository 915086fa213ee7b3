"""Products that were seen or put into a cart, prices and stock."""

from expectations.declaration import Suite, holds

SUITE = Suite(
    table="staging.stg_product_events",
    reads="staging.stg_product_events_checked",
    columns=("occurred_at", "held_reason"),
    scope="days",
    time="occurred_at",
    expectations=holds("events on products"),
)
