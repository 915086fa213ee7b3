-- What was published: a copy that moves on only when the gates below have passed.
{{ config(materialized='tide', grain='entity', entity='user_id', of=['user_preferences'], key=['user_id', 'category']) }}

select facts.*
from {{ ref('user_preferences') }} as facts
join {{ touched_entities('user_id', ['user_preferences']) }} as touched using (user_id)
