-- The newest score of each person, by the model that serves them: a shadow serves its share of people.
{{ config(key=['user_id']) }}

with scores as (
    select * from {{ source('ml', 'churn_scores') }}
),

newest as (
    select user_id, max(as_of) as as_of from scores group by user_id
)

select distinct on (user_id) scores.*
from scores
join newest using (user_id, as_of)
order by user_id, ml.serves(scores.model_id, user_id) desc, scores.made_at desc
