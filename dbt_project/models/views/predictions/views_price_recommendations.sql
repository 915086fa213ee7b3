-- The newest recommended prices, once their gate has passed.
{{ config(key=['product_id']) }}

select * from {{ source('ml', 'price_recommendations') }}
