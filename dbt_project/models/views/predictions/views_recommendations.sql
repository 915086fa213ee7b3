-- What was recommended last, once its gate has passed.
{{ config(key=['kind', 'subject_id', 'place']) }}

select * from {{ source('ml', 'recommendations') }}
