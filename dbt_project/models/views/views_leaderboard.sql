-- The hundred learners with the most lessons, and with the best mean score of at least five, in the seven newest complete
-- days.
{{ config(key=['board', 'place']) }}

with as_of as (
    select max(day) as day from {{ ref('views_metric_daily') }} where is_final
),

learners as (
    select
        as_of.day as as_of_day,
        days.user_id,
        sum(days.lessons_completed) as lessons_completed,
        sum(days.scored_lessons) as scored_lessons,
        sum(days.score_sum) / nullif(sum(days.scored_lessons), 0) as average_score
    from {{ ref('views_user_daily') }} as days
    join as_of on days.day > as_of.day - 7 and days.day <= as_of.day
    where days.lessons_completed > 0
    group by 1, 2
),

placed as (
    select
        'lessons' as board,
        *,
        row_number() over (order by lessons_completed desc, average_score desc nulls last, user_id) as place
    from learners
    union all
    select
        'score' as board,
        *,
        row_number() over (order by average_score desc, lessons_completed desc, user_id) as place
    from learners
    where scored_lessons >= 5
)

select board, place, user_id, lessons_completed, average_score, as_of_day
from placed
where place <= 100
