-- What is known of a learner from their lessons alone; what depends on the present is told by api.learners.
{{ config(
    grain='entity', entity='user_id', of=['lessons', 'int_learner_hours'], key=['user_id'], tells=['user_id']
) }}

with touched as (
    select user_id from {{ touched_entities('user_id', ['lessons', 'int_learner_hours']) }} as touched
),

hours as (
    select
        user_id,
        (array_agg(timezone order by hour desc) filter (where timezone is not null))[1] as timezone,
        max(learning_at) as learning_at
    from {{ ref('int_learner_hours') }}
    join touched using (user_id)
    group by user_id
),

lessons as (
    select
        lessons.*,
        (lessons.occurred_at at time zone coalesce(lessons.timezone, hours.timezone, tenant.timezone))::date as local_date,
        row_number() over (in_turn) as turn,
        sum(duration_seconds) over (in_turn) as seconds_so_far
    from {{ ref('lessons') }} as lessons
    join hours using (user_id)
    cross join ops.tenant
    window in_turn as (partition by user_id order by occurred_at, source, event_id)
),

dates as (
    select user_id, local_date, local_date - row_number() over (partition by user_id order by local_date)::integer as run
    from (select distinct user_id, local_date from lessons) as distinct_dates
),

streaks as (
    select user_id, min(local_date) as started, max(local_date) as ended, count(*) as length
    from dates
    group by user_id, run
),

streak_facts as (
    select
        user_id,
        sum(length)::bigint as active_days,
        max(length) as longest_streak,
        (array_agg(length order by ended desc))[1] as last_streak,
        max(started) as last_streak_started,
        max(ended) as last_active_date,
        count(*) - 1 as streaks_broken
    from streaks
    group by user_id
),

-- How long the learner usually stays away between two days of learning.
absences as (
    select
        user_id,
        count(*) as absences,
        percentile_cont(0.5) within group (order by days) as usual_days
    from (
        select user_id, local_date - lag(local_date) over (partition by user_id order by local_date) as days from dates
    ) as gaps
    where days is not null
    group by user_id
),

absence_facts as (
    select
        user_id,
        absences.absences,
        absences.usual_days,
        1.4826 * percentile_cont(0.5) within group (order by abs(gaps.days - absences.usual_days)) as spread_days
    from (
        select user_id, local_date - lag(local_date) over (partition by user_id order by local_date) as days from dates
    ) as gaps
    join absences using (user_id)
    where gaps.days is not null
    group by 1, 2, 3
),

last_scores as (
    select
        user_id,
        array_agg(score order by newest) as last_scores,
        count(*) >= 3 and max(score) < 60 as is_struggling
    from (
        select user_id, score, row_number() over (partition by user_id order by turn desc) as newest
        from lessons
        where score is not null
    ) as scored
    where newest <= 5
    group by user_id
),

skills as (
    select user_id, skill, avg(score) as average_score
    from lessons
    group by user_id, skill
),

skill_facts as (
    select
        user_id,
        count(*) as skills,
        array_agg(skill order by average_score desc, skill) filter (where average_score >= 80) as strengths,
        array_agg(skill order by average_score, skill) filter (where average_score < 60) as weaknesses
    from skills
    group by user_id
),

reached as (
    select user_id, 'lessons_' || turn as achievement, local_date as reached_date
    from lessons
    where turn in (1, 10, 50, 100, 250, 500, 1000)
    union all
    select user_id, 'streak_' || length_days, min(started) + length_days - 1
    from streaks
    join unnest(array[3, 7, 14, 30, 100, 365]) as length_days on length >= length_days
    group by user_id, length_days
    union all
    select user_id, 'hours_' || hours, min(local_date)
    from lessons
    join unnest(array[1, 10, 50, 100, 500]) as hours on seconds_so_far >= 3600 * hours
    group by user_id, hours
    union all
    select user_id, 'perfect_score', min(local_date)
    from lessons
    where score = 100
    group by user_id
),

achievements as (
    select
        user_id,
        jsonb_agg(
            jsonb_build_object('achievement', achievement, 'reached_date', reached_date) order by reached_date, achievement
        ) as achievements
    from reached
    group by user_id
),

totals as (
    select
        user_id,
        max(coalesce(hours.timezone, tenant.timezone)) as timezone,
        count(*) as activities,
        count(score) as scored,
        round(avg(score), 6) as average_score,
        coalesce(sum(duration_seconds), 0) as learning_seconds,
        count(score) filter (where difficulty = 'easy') as easy_scored,
        round(avg(score) filter (where difficulty = 'easy'), 6) as easy_score,
        min(occurred_at) as first_lesson_at,
        max(occurred_at) as last_lesson_at,
        max(hours.learning_at) as last_active_at
    from lessons
    join hours using (user_id)
    cross join ops.tenant
    group by user_id
)

select
    user_id,
    totals.timezone,
    totals.activities,
    totals.scored,
    totals.average_score,
    ops.score_level(totals.average_score) as score_level,
    totals.learning_seconds,
    skill_facts.skills,
    coalesce(skill_facts.strengths[:3], '{}') as strengths,
    coalesce(skill_facts.weaknesses[:3], '{}') as weaknesses,
    streak_facts.active_days,
    streak_facts.longest_streak,
    streak_facts.last_streak,
    streak_facts.last_streak_started,
    streak_facts.last_active_date,
    streak_facts.streaks_broken,
    coalesce(absence_facts.absences, 0) as absences,
    round(absence_facts.usual_days::numeric, 6) as usual_absence_days,
    round(absence_facts.spread_days::numeric, 6) as absence_spread_days,
    coalesce(last_scores.last_scores, '{}') as last_scores,
    coalesce(last_scores.is_struggling, false) as is_struggling,
    coalesce(achievements.achievements, '[]') as achievements,
    (select min(lessons) from unnest(array[10, 50, 100, 250, 500, 1000]) as lessons where lessons > totals.activities)
        as next_milestone,
    totals.easy_scored,
    totals.easy_score,
    totals.first_lesson_at,
    totals.last_lesson_at,
    totals.last_active_at
from totals
join streak_facts using (user_id)
join skill_facts using (user_id)
left join absence_facts using (user_id)
left join last_scores using (user_id)
left join achievements using (user_id)
