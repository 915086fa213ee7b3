-- The newest score of each person, by the model that serves them: a shadow serves its share of people.
{{ config(key=['user_id']) }}

select distinct on (user_id) *
from {{ source('ml', 'churn_scores') }}
order by user_id, as_of desc, ml.serves(model_id, user_id) desc, made_at desc
