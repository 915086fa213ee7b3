-- What a learner could do next, by the points that their mean score is expected to gain. What is expected follows from
-- the learner's own scores, drawn towards nothing where they are few: n of them count n / (n + 10).
with skills as not materialized (
    select
        skills.*,
        skills.activities::numeric / learners.activities as share,
        skills.scored::numeric / (skills.scored + 10) as trust
    from {{ ref('views_learner_measures') }} as skills
    join {{ ref('views_learners') }} as learners using (user_id)
    where skills.measure = 'score' and skills.skill <> 'all' and skills.scored > 0
),

effects as (
    select
        user_id,
        'practise ' || skill as recommendation,
        least(10 * trust * improvement_rate, 100 - average_score) * share as expected_effect,
        scored || ' scores average ' || round(average_score, 1) || ' and rise by ' || round(improvement_rate, 2)
            || ' a lesson (' || round(improvement_lo, 2) || ' to ' || round(improvement_hi, 2)
            || '); ten more lessons are reckoned.' as reason
    from skills
    where improvement_rate > 0 and average_score < 90
    union all
    select
        user_id,
        'review ' || skill,
        trust * -30 * trend_slope * share,
        'Scores fall by ' || round(-30 * trend_slope, 1) || ' in 30 days, with ' || round(100 * trend_confidence)
            || ' % confidence; a review is reckoned to end that.'
    from skills
    where trend = 'declining'
    union all
    select
        user_id,
        'take easier lessons',
        easy_scored::numeric / (easy_scored + 10) * (easy_score - average_score),
        easy_scored || ' easy lessons average ' || round(easy_score, 1) || ', all lessons '
            || round(average_score, 1) || '.'
    from {{ ref('views_learners') }}
    where average_score < 60 and easy_score > average_score
)

select
    user_id,
    row_number() over (partition by user_id order by expected_effect desc, recommendation) as place,
    recommendation,
    round(expected_effect, 6) as expected_effect,
    reason
from effects
where expected_effect > 0
