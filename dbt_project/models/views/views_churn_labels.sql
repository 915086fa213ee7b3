-- Whether the people active in the 28 days up to a past cut-off day were not seen in the 14 days after it. This alone
-- looks past the cut-off; it has no row where those days are not over.
{{ config(materialized='view') }}

with newest as (
    select max(day) as day
    from {{ ref('views_metric_daily') }}
    where is_final and segment = 'all'
),

cutoffs as (
    select newest.day - 14 * steps.back as cutoff_date
    from newest
    cross join generate_series(1, 6) as steps (back)
)

select
    cutoffs.cutoff_date,
    days.user_id,
    not bool_or(days.day > cutoffs.cutoff_date) as has_churned
from cutoffs
join {{ ref('views_user_daily') }} as days on days.day between cutoffs.cutoff_date - 27 and cutoffs.cutoff_date + 14
group by cutoffs.cutoff_date, days.user_id
having bool_or(days.day <= cutoffs.cutoff_date)
