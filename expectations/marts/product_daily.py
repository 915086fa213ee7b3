"""What became of each product on each day. Stock is below zero only where the day says since when."""

from expectations.declaration import Suite, between, never_null, no_rows, unique

SUITE = Suite(
    table="marts.product_daily",
    columns=("day", "product_id", "views", "adds", "orders", "revenue", "lowest_stock", "oversold_at"),
    scope="days",
    time="day",
    expectations=(
        never_null("product_id"),
        unique("day", "product_id"),
        between("views", 0),
        between("adds", 0),
        between("orders", 0),
        never_null("revenue"),
        no_rows(
            "negative only when oversold",
            """select product_id, day from {batch} as judged
               where (coalesce(lowest_stock, 0) < 0) <> (oversold_at is not null)
               order by day, product_id""",
            description="Stock is below zero exactly on the days that say when it was oversold.",
            says="the stock of {product_id} on {day} and when it was oversold do not agree",
        ),
    ),
)
