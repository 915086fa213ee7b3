"""Transactions of the marketplace: who sold for how much."""

from expectations.declaration import Suite, between, matches, never_null, one_of, share_by_day

SUITE = Suite(
    table="staging.stg_transactions",
    columns=("occurred_at", "event_type", "transaction_id", "seller_id", "currency", "amount", "fee"),
    scope="days",
    time="occurred_at",
    expectations=(
        one_of("event_type", ("transaction_created", "transaction_settled", "transaction_failed")),
        never_null("transaction_id", "warning"),
        never_null("seller_id", "warning"),
        share_by_day(
            "parties by day",
            "transaction_id is null or seller_id is null",
            things="transactions",
            fault="lack an id or a seller",
        ),
        between("amount", 0, severity="warning"),
        share_by_day(
            "amounts by day",
            "amount is null or amount < 0",
            things="transactions",
            fault="have an amount that is missing or negative",
        ),
        between("fee", 0, severity="warning"),
        matches("currency", "^[A-Z]{3}$", "a code of ISO 4217", "warning"),
        share_by_day(
            "currencies by day",
            "currency is null or currency !~ '^[A-Z][A-Z][A-Z]$'",
            things="transactions",
            fault="have no currency, or one that is no code of ISO 4217",
        ),
    ),
)
