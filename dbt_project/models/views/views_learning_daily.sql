-- What was published: a copy that moves on only when the gates below have passed.
{{ config(
    materialized='tide', grain='day', key=['day', 'user_id', 'class_id', 'skill'], tide_indexes=[['user_id', 'day']]
) }}

select learning.*
from {{ ref('learning_daily') }} as learning
join {{ source('ops', 'touched_days') }} as touched on learning.day = touched.day
