-- Learners as they stand now, which is the end of the newest complete hour, by the clock of each. Before the first hour is
-- complete there is no now, and what depends on it is null.
with learners as (
    select
        learners.*,
        as_of.moment as as_of,
        (as_of.moment - interval '1 microsecond') at time zone learners.timezone as now_there
    from {{ ref('views_learners') }} as learners
    left join {{ as_of() }} as as_of on true
),

present as (
    select
        *,
        case when as_of is not null then greatest(now_there::date - last_active_date, 0) end as days_since_lesson,
        case when as_of is not null
            then greatest(now_there::date - greatest(last_active_date, (last_active_at at time zone timezone)::date), 0)
        end as days_since_active
    from learners
)

select
    user_id,
    timezone,
    activities,
    scored,
    average_score,
    score_level,
    learning_seconds,
    skills,
    strengths,
    weaknesses,
    active_days,
    case when days_since_lesson <= 1 then last_streak when days_since_lesson > 1 then 0 end as current_streak,
    longest_streak,
    case
        when days_since_lesson > 1 then 'broken'
        when days_since_lesson = 1 then 'at risk'
        when days_since_lesson = 0 and last_streak = 1 then 'begun'
        when days_since_lesson = 0 then 'extended'
    end as streak_state,
    streaks_broken + case when days_since_lesson > 1 then 1 else 0 end as streaks_broken,
    last_active_date,
    days_since_lesson,
    days_since_active,
    case
        when days_since_lesson = 0 then 'high'
        when days_since_active <= 1 then 'medium'
        when days_since_active <= 3 then 'low'
        when days_since_active > 3 then 'stalled'
    end as momentum,
    is_struggling,
    last_scores,
    -- away for longer than their habit explains: three spreads of their own, a week at least
    usual_absence_days,
    coalesce(
        absences >= 5 and days_since_lesson >= 7
        and days_since_lesson > usual_absence_days + 3 * greatest(absence_spread_days, 1),
        false
    ) as is_unusually_absent,
    achievements,
    next_milestone,
    next_milestone - activities as lessons_to_milestone,
    easy_scored,
    easy_score,
    first_lesson_at,
    last_lesson_at,
    as_of
from present
