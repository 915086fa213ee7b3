select * from {{ ref('views_funnels') }} where step_conversion_rate > 1 or conversion_rate > 1
