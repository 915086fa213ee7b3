-- What was published: a copy that moves on only when the gates below have passed.
{{ config(materialized='tide', grain='day', key=['day', 'user_id'], tide_indexes=[['user_id', 'day']]) }}

select users.*
from {{ ref('user_daily') }} as users
join {{ source('ops', 'touched_days') }} as touched on users.day = touched.day
