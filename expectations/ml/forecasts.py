"""Forecasts of the newest run of the models, before anyone reads them."""

from expectations.declaration import Suite, no_rows, not_empty, not_finite

ABSURD = 10  # times the largest value that the series ever had

SUITE = Suite(
    table="ml.forecasts",
    columns=("series_id", "ds", "yhat", "lo_80", "hi_80", "lo_95", "hi_95", "model_id"),
    scope="newest load",
    time="load_id",
    expectations=(
        not_empty(),
        no_rows(
            "values are finite",
            f"""select series_id, count(*) as values, min(ds) as first
                from {{batch}} as judged
                where {not_finite("yhat", "lo_80", "hi_80", "lo_95", "hi_95")}
                group by series_id
                order by series_id""",
            description="Every forecast and every limit is a finite number.",
            says="{values:,} forecasts of {series_id} are no finite number, the first for {first:%Y-%m-%d %H:%M} UTC",
        ),
        no_rows(
            "intervals are nested",
            """select series_id, count(*) as values, min(ds) as first
               from {batch} as judged
               where not (lo_95 <= lo_80 and lo_80 <= yhat and yhat <= hi_80 and hi_80 <= hi_95)
               group by series_id
               order by series_id""",
            description="Intervals are nested: lo_95 ≤ lo_80 ≤ yhat ≤ hi_80 ≤ hi_95.",
            says="{values:,} intervals of {series_id} are not nested around the forecast, "
            "the first for {first:%Y-%m-%d %H:%M} UTC",
        ),
        no_rows(
            "the horizon is complete",
            """with steps as (
                   select series_id, model_id, ds, ops.day_of(ds, ops.timezone()) as day from {batch} as judged
               ),
               spans as (
                   select series_id, model_id, count(*) as made,
                       case when count(distinct day) = count(*) then max(day) - min(day) + 1
                            else extract(epoch from max(ds) - min(ds)) / 3600 + 1
                       end as due
                   from steps
                   group by series_id, model_id
               )
               select series_id, made, due::integer as due from spans where made <> due order by series_id""",
            description="Every day or hour from the first forecast to the last has one.",
            says="the forecast of {series_id} has {made:,} steps where its horizon has {due:,}",
        ),
        no_rows(
            "forecasts resemble the past",
            f"""with past as (
                    select metric || case when segment = 'all' then '' else '|' || segment end as series_id,
                        max(abs(value)) as largest
                    from marts.metric_daily
                    group by 1
                )
                select series_id, count(*) as values, max(abs(yhat)) as largest, max(past.largest) as largest_ever
                from {{batch}} as judged
                join past using (series_id)
                where abs(yhat) > {ABSURD} * past.largest
                group by series_id
                order by series_id""",
            description=f"No forecast is more than {ABSURD} times the largest value that its series ever had.",
            says="{values:,} forecasts of {series_id} reach {largest:,.0f}, where the past never exceeded "
            "{largest_ever:,.0f}",
        ),
    ),
)
