"""Every metric by hour."""

from expectations.declaration import Suite, no_rows
from expectations.metrics import figures

SUITE = Suite(
    table="marts.metric_hourly",
    columns=("metric", "segment", "hour", "value"),
    scope="hours",
    time="hour",
    expectations=(
        *figures("hour"),
        no_rows(
            "hours begin on the hour",
            """select count(*) as values, min(hour) as first
               from {batch} as judged
               where hour <> ops.hour_of(hour, ops.timezone())
               having count(*) > 0""",
            description="Every hour begins when the tenant's clock strikes it.",
            says="{values:,} values do not begin on the tenant's hour, the first at {first:%Y-%m-%d %H:%M:%S} UTC",
        ),
    ),
)
