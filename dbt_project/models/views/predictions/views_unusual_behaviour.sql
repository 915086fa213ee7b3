-- How unusual each person, seller and room was among their like, when last judged.
{{ config(key=['kind', 'entity_id']) }}

select * from {{ source('ml', 'unusual_behaviour') }}
