-- The people who were active in the 28 days up to a cut-off day, as they were then: nothing after it is read here.
-- Cut-offs are a fortnight apart, back from the newest complete day, which is the one that people are scored at.
{{ config(materialized='view') }}

with newest as (
    select max(day) as day
    from {{ ref('views_metric_daily') }}
    where is_final and segment = 'all'
),

cutoffs as (
    select newest.day - 14 * steps.back as cutoff_date
    from newest
    cross join generate_series(0, 6) as steps (back)
),

history as (
    select cutoffs.cutoff_date, cutoffs.cutoff_date - days.day as age, days.*
    from cutoffs
    join {{ ref('views_user_daily') }} as days on days.day <= cutoffs.cutoff_date
)

select
    cutoff_date,
    user_id,
    min(age)::double precision as days_since_last_seen,
    (max(age) + 1)::double precision as tenure_days,
    count(*) filter (where age < 7)::double precision as active_days_7,
    count(*) filter (where age < 28)::double precision as active_days_28,
    count(*) filter (where age between 28 and 55)::double precision as active_days_earlier,
    ((max(age) - min(age)) / nullif(count(*) - 1, 0))::double precision as usual_gap_days,
    coalesce(sum(events) filter (where age < 7), 0)::double precision as events_7,
    coalesce(sum(events) filter (where age < 28), 0)::double precision as events_28,
    (coalesce(sum(events) filter (where age < 14), 0) - coalesce(sum(events) filter (where age between 14 and 27), 0))
        ::double precision as events_trend,
    coalesce(sum(sessions) filter (where age < 28), 0)::double precision as sessions_28,
    coalesce(sum(lessons_completed) filter (where age < 28), 0)::double precision as lessons_completed_28,
    (sum(average_score * lessons_completed) filter (where age < 28 and average_score is not null)
        / nullif(sum(lessons_completed) filter (where age < 28 and average_score is not null), 0))
        ::double precision as average_score_28,
    coalesce(sum(orders) filter (where age < 28), 0)::double precision as orders_28,
    coalesce(sum(revenue) filter (where age < 28), 0)::double precision as revenue_28
from history
group by cutoff_date, user_id
having min(age) < 28
   and user_id not in (select user_id from {{ source('ops', 'without_consent') }} where purpose = 'models' and until is null)
