"""What was sold, in its own currency and converted: currencies are never mixed, and what has no rate is told."""

from expectations.declaration import Suite, between, never_null, no_rows, share_by_day, unique

SUITE = Suite(
    table="marts.sales_hourly",
    columns=(
        "hour",
        "currency",
        "country",
        "category",
        "lines",
        "gross_revenue",
        "refunds",
        "revenue",
        "rate",
        "converted_revenue",
    ),
    scope="hours",
    time="hour",
    expectations=(
        unique("hour", "currency", "country", "category"),
        between("lines", 1),
        never_null("revenue"),
        no_rows(
            "gross less refunds",
            """select count(*) as rows, min(hour) as first from {batch} as judged
               where revenue is distinct from gross_revenue - refunds having count(*) > 0""",
            description="Revenue is gross revenue less refunds.",
            says="revenue is not gross revenue less refunds in {rows:,} rows, the first at {first:%Y-%m-%d %H:%M} UTC",
        ),
        no_rows(
            "converted at one rate",
            """select currency, count(*) as rows, min(hour) as first from {batch} as judged
               where converted_revenue is distinct from revenue * rate
                  or rate <= 0
                  or currency = (select currency from ops.tenant) and rate is distinct from 1
               group by currency order by currency""",
            description="What is converted is the revenue at a rate, which is 1 for the tenant's own currency.",
            says="{rows:,} figures in {currency} are not converted at their rate, "
            "the first at {first:%Y-%m-%d %H:%M} UTC",
        ),
        share_by_day(
            "rates by day",
            "rate is null",
            time="hour",
            things="figures of sales",
            fault="are in a currency without a rate, and so not converted",
            at_least=1,
            severity="warning",
        ),
    ),
)
