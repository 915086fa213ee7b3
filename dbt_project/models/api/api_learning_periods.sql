-- Learners, skills and classes, and all together (scope), by day, week (from Monday), month, quarter and year (grain).
-- Hours and days of a period are those of its whole length, shared by its learners.
with lengths as (
    select * from (
        values ('day', interval '1 day'), ('week', interval '1 week'), ('month', interval '1 month'),
            ('quarter', interval '3 months'), ('year', interval '1 year')
    ) as lengths (grain, length)
),

by_skill as (
    select
        scopes.scope,
        scopes.name,
        lengths.grain,
        date_trunc(lengths.grain, daily.day::timestamp)::date as start_date,
        (date_trunc(lengths.grain, daily.day::timestamp) + lengths.length)::date as end_date,
        daily.skill,
        array_agg(distinct daily.user_id) as user_ids,
        sum(daily.activities)::bigint as activities,
        sum(daily.scored)::bigint as scored,
        sum(daily.score_sum) as score_sum,
        sum(daily.learning_seconds) as learning_seconds
    from {{ ref('views_learning_daily') }} as daily
    cross join lateral (
        values ('all', 'all'), ('learner', daily.user_id), ('skill', daily.skill), ('class', nullif(daily.class_id, ''))
    ) as scopes (scope, name)
    cross join lengths
    where scopes.name is not null
    group by 1, 2, 3, 4, 5, 6
),

people as (
    select scope, name, grain, start_date, count(distinct user_id) as learners
    from by_skill
    cross join unnest(user_ids) as user_id
    group by 1, 2, 3, 4
),

periods as (
    select
        scope,
        name,
        grain,
        start_date,
        end_date,
        count(*) as skills,
        sum(activities)::bigint as activities,
        sum(scored)::bigint as scored,
        sum(score_sum) as score_sum,
        sum(learning_seconds) as learning_seconds,
        array_agg(skill order by score_sum / nullif(scored, 0) desc, skill)
            filter (where score_sum >= 80 * scored and scored > 0) as strengths,
        array_agg(skill order by score_sum / nullif(scored, 0), skill)
            filter (where score_sum < 60 * scored and scored > 0) as weaknesses
    from by_skill
    group by 1, 2, 3, 4, 5
)

select
    scope,
    name,
    grain,
    start_date,
    end_date,
    learners,
    activities,
    scored,
    score_sum / nullif(scored, 0) as average_score,
    ops.score_level(score_sum / nullif(scored, 0)) as score_level,
    learning_seconds,
    activities * 3600 / nullif(learning_seconds, 0) as velocity,
    skills,
    coalesce(strengths[:3], '{}') as strengths,
    coalesce(weaknesses[:3], '{}') as weaknesses,
    engagement.level as engagement_level
from periods
join people using (scope, name, grain, start_date)
cross join lateral (
    select (
        least(learning_seconds / 3600 / learners / (0.1 * hours.hours), 1)
        + least(activities::numeric / learners / (end_date - start_date) / 3, 1)
    ) / 2 as level
    from (
        select extract(epoch from
            end_date::timestamp at time zone ops.timezone() - start_date::timestamp at time zone ops.timezone()
        ) / 3600 as hours
    ) as hours
) as engagement
