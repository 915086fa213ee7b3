-- What was published: a copy that moves on only when the gates below have passed.
{{ config(materialized='tide', grain='entity', entity='user_id', of=['learners'], key=['user_id']) }}

select facts.*
from {{ ref('learners') }} as facts
join {{ touched_entities('user_id', ['learners']) }} as touched using (user_id)
