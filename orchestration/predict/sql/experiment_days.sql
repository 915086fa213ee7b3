-- People exposed, and sums over those whose window was over, by complete day and variant: all that a test needs.
with newest as (
    select max(day) as day from api.metric_daily where is_final and segment = 'all'
),

steps as (
    select
        experiment, goal, window_seconds, variant, ops.day_of(exposed_at, ops.timezone()) as day,
        1 as exposed, 0 as users, 0 as converted, 0::numeric as conversions, 0::numeric as value,
        0::numeric as value_before
    from marts.experiment_users
    union all
    select
        experiment, goal, window_seconds, variant,
        ops.day_of(exposed_at + window_seconds * interval '1 second', ops.timezone()),
        0, 1, (conversions > 0)::integer, conversions, value, value_before
    from marts.experiment_users
)

select
    experiment, goal, window_seconds, variant, day,
    sum(exposed)::bigint as exposed,
    sum(users)::bigint as users,
    {sums}
from steps
where day <= (select day from newest)
group by 1, 2, 3, 4, 5
order by 1, 2, 3, 5, 4
