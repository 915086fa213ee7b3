-- What was published: a copy that moves on only when the gates below have passed.
{{ config(materialized='tide', grain='entity', entity='user_id', of=['customers'], key=['user_id']) }}

select customers.*
from {{ ref('customers') }} as customers
join {{ touched_entities('user_id', ['customers']) }} as touched on customers.user_id = touched.user_id
