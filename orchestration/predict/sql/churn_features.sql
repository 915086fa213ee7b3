-- The people who were active in the 28 days up to each cut-off, as they were then: no row after it is read here.
-- `day` of the join is never later than the cut-off, which is itself included.
with cutoffs as (
    select unnest(%(cutoffs)s::date[]) as cutoff
),

history as (
    select cutoffs.cutoff, cutoffs.cutoff - days.day as age, days.*
    from cutoffs
    join api.user_daily as days on days.day <= cutoffs.cutoff
)

select
    cutoff,
    user_id,
    min(age)::double precision as days_since_last_seen,
    (max(age) + 1)::double precision as tenure_days,
    count(*) filter (where age < 7)::double precision as active_days_7,
    count(*) filter (where age < 28)::double precision as active_days_28,
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
group by cutoff, user_id
having min(age) < 28
   and user_id not in (select user_id from ops.without_consent where purpose = 'models' and until is null)
order by cutoff, user_id
