"""Lines of orders, invoices and refunds. Returns have a negative quantity, gifts a price of zero: both are right."""

from expectations.declaration import Suite, between, matches, never_null, no_rows, not_zero, share_by_day

SUITE = Suite(
    table="staging.stg_order_lines",
    columns=("occurred_at", "order_id", "currency", "quantity", "price", "amount"),
    scope="days",
    time="occurred_at",
    expectations=(
        never_null("order_id", "warning"),
        share_by_day("orders by day", "order_id is null", things="order lines", fault="name no order"),
        between("price", 0, severity="warning"),
        share_by_day(
            "prices by day",
            "price is null or price < 0",
            things="order lines",
            fault="have a price that is missing or negative",
        ),
        never_null("quantity", "warning"),
        not_zero("quantity", "warning"),
        share_by_day(
            "quantities by day",
            "quantity is null or quantity = 0",
            things="order lines",
            fault="have a quantity that is missing or zero",
        ),
        matches("currency", "^[A-Z]{3}$", "a code of ISO 4217", "warning"),
        share_by_day(
            "currencies by day",
            "currency is null or currency !~ '^[A-Z][A-Z][A-Z]$'",
            things="order lines",
            fault="have no currency, or one that is no code of ISO 4217",
        ),
        no_rows(
            "amount is quantity × price",
            """select count(*) as lines, min(occurred_at) as first
               from {batch} as judged
               where amount is distinct from quantity * price
               having count(*) > 0""",
            description="The amount of a line is its quantity times its price.",
            says="the amounts of {lines:,} lines are not quantity × price, the first at {first:%Y-%m-%d %H:%M} UTC",
        ),
    ),
)
