"""What currencies were worth."""

from expectations.declaration import Suite, holds

SUITE = Suite(
    table="staging.stg_exchange_rates",
    reads="staging.stg_exchange_rates_checked",
    columns=("occurred_at", "held_reason"),
    scope="days",
    time="occurred_at",
    expectations=holds("exchange rates"),
)
