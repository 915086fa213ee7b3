-- What was published: a copy that moves on only when the gates below have passed.
{{ config(materialized='tide', grain='entity', entity='user_id', of=['learner_measures'], key=['user_id', 'measure', 'skill']) }}

select facts.*
from {{ ref('learner_measures') }} as facts
join {{ touched_entities('user_id', ['learner_measures']) }} as touched using (user_id)
