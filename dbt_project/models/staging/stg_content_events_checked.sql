with events as (
    select * from {{ ref('stg_events') }}
    where event_type in (
        'content_viewed', 'content_started', 'content_completed', 'content_rated', 'content_searched'
    )
),

typed as (
    select
        source,
        event_id,
        event_type,
        occurred_at,
        hour,
        user_id,
        load_id,
        properties,
        {{ text_property('content_id') }} as content_id,
        {{ text_property('category') }} as category,
        {{ number_property('rating') }} as rating,
        {{ number_property('duration_seconds') }} as duration_seconds,
        lower(trim({{ text_property('query') }})) as query,
        {{ number_property('results_count') }} as results_count
    from events
)

select
    *,
    {{ held([
        ['content without an id', "content_id is null and event_type <> 'content_searched'", 'content_id'],
        ['rating is no number', is_no_number('rating'), "properties -> 'rating'"],
        ['rating outside 1..5', 'rating not between 1 and 5', 'rating'],
        ['duration below zero', 'duration_seconds < 0', 'duration_seconds'],
        ['number of results below zero', 'results_count < 0', 'results_count'],
    ]) }}
from typed
