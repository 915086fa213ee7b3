-- How much people, rooms and all together (scope) like a category: the share of votes in favour and of five stars, to
-- which ten judgements as the category has them at large are added, so that few judgements say little. A category itself
-- is drawn towards all judgements.
with evidence as (
    select
        'user' as scope, user_id as name, category, votes + ratings as judgements,
        votes_in_favour + rating_sum / 5 as positive, uses, completions
    from {{ ref('views_user_preferences') }}
    union all
    select
        'room', room_id, coalesce(category, 'unknown'), votes, votes_in_favour, 0, 0
    from {{ ref('views_rooms') }}
),

categories as (
    select
        category, sum(judgements) as judgements, sum(positive) as positive, sum(uses) as uses,
        sum(completions) as completions
    from evidence
    where scope = 'user'
    group by category
),

everything as (
    select sum(positive) / nullif(sum(judgements), 0) as share from categories
),

shrunk as (
    select categories.*, (positive + 10 * everything.share) / (judgements + 10) as preference
    from categories
    cross join everything
)

select
    evidence.scope,
    evidence.name,
    evidence.category,
    evidence.judgements,
    evidence.positive / nullif(evidence.judgements, 0) as observed_rate,
    (evidence.positive + 10 * shrunk.preference) / (evidence.judgements + 10) as preference,
    evidence.uses::bigint as uses,
    evidence.completions::bigint as completions
from evidence
join shrunk using (category)
union all
select
    'all', 'all', category, judgements, positive / nullif(judgements, 0), preference, uses::bigint, completions::bigint
from shrunk
