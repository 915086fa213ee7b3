-- A person is in one variant of an experiment, whatever goal and window is asked for; a longer window never counts less;
-- and what is told of a variant is what its people did.
with people as (
    select user_id, experiment
    from {{ ref('experiment_users') }}
    group by 1, 2
    having count(distinct variant) > 1
),

windows as (
    select user_id, experiment, conversions
        < lag(conversions) over (partition by user_id, experiment, goal order by window_seconds) as is_less
    from {{ ref('experiment_users') }}
)

select user_id as what, experiment from people
union all
select user_id, experiment from windows where is_less
union all
select variant, experiment
from {{ ref('views_experiments') }}
where converted_users > complete_users or complete_users > users or mixed_users > users or converted_users > conversions
   or value_square_sum < 0
