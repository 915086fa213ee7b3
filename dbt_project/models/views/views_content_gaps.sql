-- What people look for and do not get, in the 28 newest complete days: each with what shows it.
{{ config(key=['gap', 'name']) }}

with as_of as (
    select max(day) as day from {{ ref('views_metric_daily') }} where is_final
),

searches as (
    select hours.query, sum(hours.searches) as searches, sum(hours.searches_without_result) as without_result
    from {{ ref('int_search_hours') }} as hours
    cross join as_of
    where hours.hour >= (as_of.day - 27)::timestamp at time zone (select timezone from ops.tenant)
      and hours.hour < (as_of.day + 1)::timestamp at time zone (select timezone from ops.tenant)
    group by hours.query
),

overall as (
    select sum(completions) / nullif(sum(starts), 0) as completion_rate from {{ ref('views_content') }}
),

items as (
    select skill, count(*) as lessons, count(distinct lesson_id) as items
    from {{ ref('lessons') }} as lessons
    cross join as_of
    where lessons.hour >= (as_of.day - 27)::timestamp at time zone (select timezone from ops.tenant)
      and lessons.hour < (as_of.day + 1)::timestamp at time zone (select timezone from ops.tenant)
    group by skill
),

lessons as (
    select
        substr(segment, length('skill=') + 1) as skill,
        sum(value) filter (where metric = 'lessons_completed') as lessons,
        avg(value) filter (where metric = 'average_score') as average_score
    from {{ ref('views_metric_daily') }} as daily
    cross join as_of
    where metric in ('lessons_completed', 'average_score') and segment like 'skill=%'
      and daily.day > as_of.day - 28 and daily.day <= as_of.day
    group by 1
),

gaps as (
    select
        'nothing found' as gap,
        query as name,
        without_result as demand,
        without_result / searches as gap_rate,
        format('%s of %s searches found nothing', without_result, searches) as evidence
    from searches
    where without_result >= 3 and without_result * 2 >= searches
    union all
    select
        'rarely finished',
        content_id,
        starts,
        drop_off_rate,
        format('%s of %s starts were finished, where %s %% of all are', completions, starts, round(100 * overall.completion_rate))
    from {{ ref('views_content') }} as contents
    cross join overall
    where contents.starts >= 20 and contents.completion_rate < overall.completion_rate / 2
    union all
    select
        'weak skill',
        skill,
        lessons,
        1 - average_score / 100,
        format('%s lessons with a mean daily score of %s', lessons, round(average_score, 1))
    from lessons
    where lessons >= 20 and average_score < 60
    union all
    select
        'few items',
        skill,
        lessons,
        1 - items / 3.0,
        format('%s lessons of %s items', lessons, items)
    from items
    where lessons >= 20 and items in (1, 2)
)

select gaps.*, as_of.day as as_of_day
from gaps
cross join as_of
