-- What was published: a copy that moves on only when the fast lane's gate has passed.
{{ config(materialized='tide', grain='minute', key=['metric', 'segment', 'minute'], tide_indexes=[['minute']],
          post_hook="{{ forget_old_minutes(this) }}") }}

select metrics.metric, metrics.segment, metrics.minute, metrics.value, metrics.numerator, metrics.denominator
from {{ ref('metric_minutes') }} as metrics
join {{ source('ops', 'touched_minutes') }} as touched on metrics.minute = touched.minute
