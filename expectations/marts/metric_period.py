"""Every metric by week, month and quarter, and that its days sum to it."""

from expectations.declaration import Suite, no_rows, one_of
from expectations.metrics import figures

SUITE = Suite(
    table="marts.metric_period",
    columns=("metric", "segment", "grain", "start_date", "end_date", "value"),
    scope="days",
    time="start_date",
    expectations=(
        *figures("start_date", "grain"),
        one_of("grain", ("week", "month", "quarter")),
        no_rows(
            "periods begin on their first day",
            """select count(*) as values, min(start_date) as first
               from {batch} as judged
               where start_date <> date_trunc(grain, start_date::timestamp)::date or end_date <= start_date
               having count(*) > 0""",
            description="A week begins on Monday, a month and a quarter on their first.",
            says="{values:,} values do not begin with their period, the first on {first}",
        ),
        no_rows(
            "days sum to periods",
            """with wholes as (
                    select metric, segment, judged.grain, start_date, value as whole
                    from {batch} as judged
                    join intermediate.int_metrics as metrics using (metric)
                    where adds_up = 'sum'
                ),
                parts as (
                    select daily.metric, daily.segment, judged.grain, judged.start_date, sum(daily.value) as parts
                    from (select distinct grain, start_date, end_date from {batch} as judged) as judged
                    join marts.metric_daily as daily
                        on daily.day >= judged.start_date and daily.day < judged.end_date
                    join intermediate.int_metrics as metrics using (metric)
                    where metrics.adds_up = 'sum'
                    group by 1, 2, 3, 4
                )
                select metric, segment, grain, start_date, coalesce(whole, 0) as whole, coalesce(parts, 0) as parts
                from wholes full join parts using (metric, segment, grain, start_date)
                where abs(coalesce(whole, 0) - coalesce(parts, 0)) > 0.005
                order by start_date, grain, metric, segment""",
            description="For every metric that adds up, the days of a period sum to the period.",
            says="{metric} ({segment}) of the {grain} of {start_date} is {whole:,.2f}, its days sum to {parts:,.2f}",
        ),
    ),
)
