-- How a learner does, over all and in each skill: how well (score), how much (engagement: minutes on a day of learning)
-- and how fast (velocity: lessons in an hour). Judged as of the learner's own newest lesson, by days of the tenant.
{{ config(grain='entity', entity='user_id', of=['lessons'], key=['user_id', 'measure', 'skill'], tells=['user_id']) }}

with lessons as (
    select
        lessons.*,
        ops.day_of(lessons.occurred_at, tenant.timezone) as day,
        max(ops.day_of(lessons.occurred_at, tenant.timezone)) over (partition by lessons.user_id) as last_day
    from {{ ref('lessons') }} as lessons
    join {{ touched_entities('user_id', ['lessons']) }} as touched using (user_id)
    cross join ops.tenant
),

totals as (
    select
        user_id,
        coalesce(skill, 'all') as skill,
        count(*) as activities,
        count(score) as scored,
        round(avg(score), 6) as average_score,
        round(stddev_samp(score), 6) as score_deviation,
        coalesce(sum(duration_seconds), 0) as learning_seconds,
        min(day) as first_day,
        max(day) as last_day
    from lessons
    group by grouping sets ((user_id), (user_id, skill))
),

-- What is observed: each score; minutes and lessons in an hour by day.
scores as (
    select
        user_id,
        scope.skill,
        score,
        row_number() over (partition by user_id, scope.skill order by occurred_at desc, source desc, event_id desc) as newest
    from lessons
    cross join lateral (values ('all'), (lessons.skill)) as scope (skill)
    where score is not null
),

days as (
    select
        user_id,
        coalesce(skill, 'all') as skill,
        day,
        last_day,
        avg(score) as score,
        case when skill is null then sum(duration_seconds) / 60 end as engagement,
        case when skill is null then count(*) * 3600 / nullif(sum(duration_seconds), 0) end as velocity
    from lessons
    group by grouping sets ((user_id, day, last_day), (user_id, day, last_day, skill))
),

daily as (
    select
        days.user_id,
        measures.measure,
        days.skill,
        days.day,
        days.last_day,
        measures.value,
        row_number() over (partition by days.user_id, measures.measure, days.skill order by days.day desc) as newest
    from days
    cross join lateral (
        values ('score', days.score), ('engagement', days.engagement), ('velocity', days.velocity)
    ) as measures (measure, value)
    where measures.value is not null
),

observed as (
    select user_id, 'score' as measure, skill, newest, score as value from scores
    union all
    select user_id, measure, skill, newest, value from daily where measure <> 'score'
),

-- The newest three against up to fifty before them.
series as (
    select
        user_id,
        measure,
        skill,
        percentile_cont(0.5) within group (order by value) filter (where newest <= 3) as recent,
        percentile_cont(0.5) within group (order by value) filter (where newest > 3) as usual,
        array_agg(value) filter (where newest > 3) as before
    from observed
    where newest <= 53
    group by 1, 2, 3
),

shifts as (
    select
        series.user_id,
        series.measure,
        series.skill,
        series.recent,
        series.usual,
        greatest(
            1.4826 * deviations.median,
            case series.measure when 'score' then 5 else 0.2 * series.usual end
        ) as spread
    from series
    cross join lateral (
        select percentile_cont(0.5) within group (order by abs(value - series.usual)) as median
        from unnest(series.before) as value
    ) as deviations
    where cardinality(series.before) >= 5
),

recent_days as (
    select user_id, measure, skill, (day - date '2000-01-01')::double precision as x, value::double precision as y
    from daily
    where day > last_day - 90
),

trends as (
    {{ theil_sen('recent_days', ['user_id', 'measure', 'skill'], 1.0364) }}
),

lessons_in_turn as (
    select user_id, skill, -newest::double precision as x, score::double precision as y
    from scores
    where newest <= 50
),

improvements as (
    {{ theil_sen('lessons_in_turn', ['user_id', 'skill'], 1.96) }}
),

-- Four days at least; stable where the line rises or falls by less than a twentieth of the usual value in 30 days,
-- whichever end of its interval is taken.
judged as (
    select
        trends.*,
        case
            when trends.points < 4 then 'not enough data'
            when 30 * trends.slope_lo > -trends.middle / 20 and 30 * trends.slope_hi < trends.middle / 20 then 'stable'
            when trends.confidence >= 0.7 and trends.slope > 0 then 'improving'
            when trends.confidence >= 0.7 and trends.slope < 0 then 'declining'
            else 'not enough data'
        end as trend,
        case measure when 'score' then 100::double precision else 'Infinity' end as ceiling
    from trends
),

measures as (
    select
        known.user_id,
        measure,
        known.skill,
        round(improvements.slope::numeric, 6) as improvement_rate,
        round(improvements.slope_lo::numeric, 6) as improvement_lo,
        round(improvements.slope_hi::numeric, 6) as improvement_hi,
        coalesce(judged.points, 0) as trend_days,
        coalesce(judged.trend, 'not enough data') as trend,
        round(judged.slope::numeric, 6) as trend_slope,
        round(judged.slope_lo::numeric, 6) as trend_lo,
        round(judged.slope_hi::numeric, 6) as trend_hi,
        round(judged.confidence::numeric, 6) as trend_confidence,
        round(least(greatest(judged.level + 30 * judged.slope, 0), judged.ceiling)::numeric, 6) as projected,
        round(least(greatest(judged.level + 30 * judged.slope_lo, 0), judged.ceiling)::numeric, 6) as projected_lo,
        round(least(greatest(judged.level + 30 * judged.slope_hi, 0), judged.ceiling)::numeric, 6) as projected_hi,
        round(shifts.usual::numeric, 6) as usual,
        round(shifts.recent::numeric, 6) as recent,
        round(((shifts.recent - shifts.usual) / nullif(shifts.spread, 0))::numeric, 6) as shift
    from (
        select user_id, 'score' as measure, skill from totals
        union all
        select distinct user_id, measure, skill from daily where measure <> 'score'
    ) as known
    left join judged using (user_id, measure, skill)
    left join shifts using (user_id, measure, skill)
    left join improvements
        on measure = 'score' and improvements.points >= 4
        and known.user_id = improvements.user_id and known.skill = improvements.skill
)

select
    measures.user_id,
    measures.measure,
    measures.skill,
    totals.activities,
    totals.scored,
    totals.average_score,
    totals.score_deviation,
    totals.learning_seconds,
    totals.first_day,
    totals.last_day,
    measures.improvement_rate,
    measures.improvement_lo,
    measures.improvement_hi,
    measures.trend_days,
    measures.trend,
    measures.trend_slope,
    measures.trend_lo,
    measures.trend_hi,
    measures.trend_confidence,
    case when measures.trend <> 'not enough data' then measures.projected end as projected,
    case when measures.trend <> 'not enough data' then measures.projected_lo end as projected_lo,
    case when measures.trend <> 'not enough data' then measures.projected_hi end as projected_hi,
    measures.usual,
    measures.recent,
    measures.shift,
    coalesce(abs(measures.shift) >= 3, false) as is_unusual,
    case
        when abs(measures.shift) >= 6 then 'high'
        when abs(measures.shift) >= 4.5 then 'medium'
        when abs(measures.shift) >= 3 then 'low'
    end as severity
from measures
join totals using (user_id, skill)
