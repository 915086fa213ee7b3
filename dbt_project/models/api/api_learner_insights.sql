-- The five most important things to know about each learner now: how much each matters, times how sure it is.
with learners as (
    select * from {{ ref('api_learners') }}
),

measures as (
    select * from {{ ref('api_learner_measures') }}
),

insights as (
    select
        user_id,
        'struggling' as kind,
        'all' as skill,
        1.0 as weight,
        -- by the rule of succession: of so many tries, all below the mark
        (cardinality(last_scores) + 1) / (cardinality(last_scores) + 2)::numeric as confidence,
        'The newest ' || cardinality(last_scores) || ' scores are all below 60: '
            || array_to_string(last_scores, ', ') || '.' as evidence,
        'Go back to easier lessons, and look at the newest mistakes together.' as action
    from learners
    where is_struggling
    union all
    select
        user_id,
        'unusual ' || measure,
        skill,
        0.9,
        round((2 * ops.normal_cdf(abs(shift)::double precision) - 1)::numeric, 6),
        'The newest three have a median of ' || round(recent, 1) || ', where ' || round(usual, 1) || ' is usual.',
        action
    from measures
    where is_unusual and skill = 'all'
    union all
    select
        user_id,
        'absent',
        'all',
        0.85,
        -- half of their absences are no longer than the usual one, half of the others no longer than two of them, …
        round(1 - power(0.5, days_since_lesson / usual_absence_days), 6),
        'Away for ' || days_since_lesson || ' days; ' || round(usual_absence_days, 1) || ' are usual.',
        'Write to them, with one short lesson to come back to.'
    from learners
    where is_unusually_absent
    union all
    select
        user_id,
        trend || ' ' || measure,
        skill,
        case when trend = 'declining' then 0.8 else 0.5 end * case when skill = 'all' then 1 else 0.9 end,
        trend_confidence,
        'Over ' || trend_days || ' days of learning, ' || round(30 * trend_slope, 1)
            || ' in 30 days; in another 30, ' || round(projected, 1) || ' is expected ('
            || round(projected_lo, 1) || ' to ' || round(projected_hi, 1) || ').',
        case when trend = 'declining' then 'Find out what changed, before it goes further.'
            else 'Tell them: it is earned. Keep the rhythm.' end
    from measures
    where trend in ('improving', 'declining')
    union all
    -- that the mean lies beyond the mark, as sure as the scores' spread allows
    select
        user_id,
        case when average_score < 60 then 'weakness' else 'strength' end,
        skill,
        case when average_score < 60 then 0.7 else 0.4 end,
        round(ops.normal_cdf((
            case when average_score < 60 then 60 - average_score else average_score - 80 end
            / greatest(score_deviation, 1) * sqrt(scored)
        )::double precision)::numeric, 6),
        scored || ' scores average ' || round(average_score, 1) || '.',
        case when average_score < 60 then 'Practise ' || skill || ' in short lessons, the easy ones first.'
            else 'Let them go on to harder lessons in ' || skill || ', or help others.' end
    from measures
    where measure = 'score' and skill <> 'all' and scored >= 3 and (average_score < 60 or average_score >= 80)
    union all
    select
        user_id,
        'streak at risk',
        'all',
        0.6,
        1,
        'A streak of ' || current_streak || ' days (the longest: ' || longest_streak || ') ends today.',
        'Remind them today, with a lesson of a few minutes.'
    from learners
    where streak_state = 'at risk' and current_streak >= 3
    union all
    select
        user_id,
        'milestone near',
        'all',
        0.3,
        1,
        activities || ' lessons completed, ' || lessons_to_milestone || ' to go to ' || next_milestone || '.',
        'Tell them how near it is.'
    from learners
    where lessons_to_milestone * 10 <= next_milestone
)

select user_id, place, kind, skill, evidence, round(confidence, 6) as confidence, action, importance
from (
    select
        *,
        round(weight * confidence, 6) as importance,
        row_number() over (partition by user_id order by weight * confidence desc, kind, skill) as place
    from insights
) as placed
where place <= 5
