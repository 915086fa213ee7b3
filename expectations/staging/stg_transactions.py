"""Transactions of the marketplace: who sold for how much."""

from expectations.declaration import Suite, holds, never_null, one_of

SUITE = Suite(
    table="staging.stg_transactions",
    reads="staging.stg_transactions_checked",
    columns=("occurred_at", "event_type", "seller_id", "held_reason"),
    scope="days",
    time="occurred_at",
    expectations=(
        *holds("transactions"),
        one_of("event_type", ("transaction_created", "transaction_settled", "transaction_failed")),
        never_null("seller_id", "warning"),
    ),
)
