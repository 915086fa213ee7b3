-- Days count as one absence when there are more than 28 between them, weeks and months when one is left out.
{{ config(
    grain='entity', entity='user_id', of=['user_daily'], key=['user_id', 'grain', 'start_date']
) }}

with days as (
    select user_id, days.day
    from {{ ref('user_daily') }} as days
    join {{ touched_entities('user_id', ['user_daily']) }} as touched using (user_id)
),

periods as (
    select distinct
        days.user_id,
        grains.grain,
        date_trunc(grains.grain, days.day::timestamp)::date as start_date,
        grains.absence
    from days
    cross join (
        values ('day', interval '28 days'), ('week', interval '1 week'), ('month', interval '1 month')
    ) as grains (grain, absence)
),

spaced as (
    select
        user_id,
        grain,
        start_date,
        (start_date + absence)::date as absent_date,
        first_value(start_date) over mine as cohort_date,
        lag((start_date + absence)::date) over mine as previous_absent_date,
        lead(start_date) over mine as next_date
    from periods
    window mine as (partition by user_id, grain order by start_date)
)

select
    user_id,
    grain,
    start_date,
    cohort_date,
    next_date,
    case
        when previous_absent_date is null then 'new'
        when start_date <= previous_absent_date then 'returning'
        else 'resurrected'
    end as state
from spaced
union all
select user_id, grain, absent_date, cohort_date, next_date, 'dormant'
from spaced
where absent_date < coalesce(next_date, 'infinity')
