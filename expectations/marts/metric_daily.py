"""Every metric by day, and that its parts sum to it."""

from expectations.declaration import Suite, no_rows
from expectations.metrics import figures

SUITE = Suite(
    table="marts.metric_daily",
    columns=("metric", "segment", "day", "value"),
    scope="days",
    time="day",
    expectations=(
        *figures("day"),
        no_rows(
            "hours sum to days",
            """with days as (
                    select metric, segment, day, value as whole
                    from {batch} as judged
                    join intermediate.int_metrics as metrics using (metric)
                    where adds_up = 'sum'
                ),
                hours as (
                    select hourly.metric, hourly.segment, judged.day, sum(hourly.value) as parts
                    from (
                        select day, day::timestamp at time zone ops.timezone() as starts_at,
                            (day + 1)::timestamp at time zone ops.timezone() as ends_at
                        from (select distinct day from {batch} as judged) as distinct_days
                    ) as judged
                    join marts.metric_hourly as hourly
                        on hourly.hour >= judged.starts_at and hourly.hour < judged.ends_at
                    join intermediate.int_metrics as metrics using (metric)
                    where metrics.adds_up = 'sum'
                    group by hourly.metric, hourly.segment, judged.day
                )
                select metric, segment, day, coalesce(whole, 0) as whole, coalesce(parts, 0) as parts
                from days full join hours using (metric, segment, day)
                where abs(coalesce(whole, 0) - coalesce(parts, 0)) > 0.005
                order by day, metric, segment""",
            description="For every metric that adds up, the hours of a day sum to the day.",
            says="{metric} ({segment}) of {day} is {whole:,.2f}, and its hours sum to {parts:,.2f}",
        ),
        no_rows(
            "segments sum to the whole",
            """with parts as (
                    select metric, day, split_part(segment, '=', 1) as dimension, sum(value) as parts
                    from {batch} as judged
                    join intermediate.int_metrics as metrics using (metric)
                    cross join ops.tenant
                    where segment <> 'all' and adds_up = 'sum'
                      and (unit <> 'money' or segment = 'currency=' || tenant.currency)
                    group by 1, 2, 3
                ),
                wholes as (
                    select metric, day, value as whole from {batch} as judged where segment = 'all'
                )
                select metric, day, dimension, coalesce(whole, 0) as whole, parts
                from parts left join wholes using (metric, day)
                where abs(coalesce(whole, 0) - parts) > 0.005
                order by day, metric, dimension""",
            description="For every metric that adds up, the segments of a dimension sum to the whole.",
            says="{metric} of {day} is {whole:,.2f}, and its parts by {dimension} sum to {parts:,.2f}",
        ),
    ),
)
