{{ config(grain='hour', key=['hour', 'query']) }}

with searches as (
    select
        events.hour,
        events.user_id,
        left(lower(trim(events.properties ->> 'query')), 200) as query,
        ops.number_of(events.properties -> 'results_count') as results
    from {{ in_touched_hours(of_types(ref('stg_events'), ['content_searched']), 'events') }}
)

select
    hour,
    query,
    count(*) as searches,
    count(*) filter (where results <= 0) as searches_without_result
from searches
where query <> ''
group by 1, 2
