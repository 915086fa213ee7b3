"""Lines of orders, invoices and refunds. Returns have a negative quantity, gifts a price of zero: both are right."""

from expectations.declaration import Suite, between, holds, never_null, not_zero

SUITE = Suite(
    table="staging.stg_order_lines",
    reads="staging.stg_order_lines_checked",
    columns=("occurred_at", "order_id", "quantity", "price", "held_reason"),
    scope="days",
    time="occurred_at",
    expectations=(
        *holds("order lines"),
        never_null("order_id", "warning"),
        between("price", 0, severity="warning"),  # an invoice may correct another
        not_zero("quantity", "warning"),
    ),
)
