-- Every metric by day, week, month and quarter, beside the period before and the same one a year before: 364 days for days
-- and weeks, which are the same weekdays.
with figures as (
    select metric, segment, 'day' as grain, day as start_date, day + 1 as end_date, value, is_final, load_id
    from {{ ref('api_metric_daily') }}
    union all
    select metric, segment, grain, start_date, end_date, value, is_final, load_id
    from {{ ref('api_metric_period') }}
),

compared as (
    select
        figures.*,
        (start_date - ('1 ' || replace(grain, 'quarter', 'month'))::interval * case grain when 'quarter' then 3 else 1 end)::date
            as previous_date,
        case when grain in ('day', 'week') then start_date - 364 else (start_date - interval '1 year')::date end as year_ago_date
    from figures
)

select
    compared.metric,
    compared.segment,
    compared.grain,
    compared.start_date,
    compared.end_date,
    compared.value,
    previous.value as previous_value,
    ((compared.value - previous.value) / nullif(abs(previous.value), 0))::double precision as change_rate,
    year_ago.value as year_ago_value,
    ((compared.value - year_ago.value) / nullif(abs(year_ago.value), 0))::double precision as year_change_rate,
    compared.is_final,
    compared.load_id,
    marks.built_at
from compared
left join figures as previous
    on previous.metric = compared.metric and previous.segment = compared.segment and previous.grain = compared.grain
    and previous.start_date = compared.previous_date
left join figures as year_ago
    on year_ago.metric = compared.metric and year_ago.segment = compared.segment and year_ago.grain = compared.grain
    and year_ago.start_date = compared.year_ago_date
left join ops.tidemarks as marks
    on marks.table_name = case compared.grain when 'day' then 'views.metric_daily' else 'views.metric_period' end
