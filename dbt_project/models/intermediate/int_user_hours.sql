{{ config(grain='hour', key=['hour', 'user_id'], tide_indexes=[['user_id', 'hour']]) }}

select
    spans.hour,
    spans.user_id,
    sum(spans.events)::bigint as events
from {{ ref('int_activity_spans') }} as spans
join {{ source('ops', 'touched') }} as touched on spans.hour = touched.hour
group by spans.hour, spans.user_id
