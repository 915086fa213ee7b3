-- The newest score of each person.
{{ config(key=['user_id']) }}

select distinct on (user_id) *
from {{ source('ml', 'churn_scores') }}
order by user_id, as_of desc, made_at desc
