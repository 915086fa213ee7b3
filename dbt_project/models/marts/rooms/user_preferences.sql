-- What speaks for and against a category, for each person: votes, ratings, and what they use and complete.
{{ config(
    grain='entity', entity='user_id', of=['int_room_events', 'int_content_uses'], key=['user_id', 'category'],
    tells=['user_id']
) }}

with touched as (
    select user_id from {{ touched_entities('user_id', ['int_room_events', 'int_content_uses']) }} as touched
),

evidence as (
    select
        user_id,
        coalesce(category, 'unknown') as category,
        1 as votes,
        is_in_favour::integer as votes_in_favour,
        0 as uses,
        0 as completions,
        0 as ratings,
        0::numeric as rating_sum
    from {{ ref('int_room_events') }}
    join touched using (user_id)
    where event_type = 'vote_cast' and is_in_favour is not null
    union all
    select user_id, coalesce(category, 'unknown'), 0, 0, uses, completions, ratings, rating_sum
    from {{ ref('int_content_uses') }}
    join touched using (user_id)
)

select
    user_id,
    category,
    sum(votes) as votes,
    sum(votes_in_favour) as votes_in_favour,
    sum(uses)::bigint as uses,
    sum(completions)::bigint as completions,
    sum(ratings)::bigint as ratings,
    sum(rating_sum) as rating_sum
from evidence
group by 1, 2
