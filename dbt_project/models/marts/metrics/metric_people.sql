-- depends_on: {{ ref('int_user_hours') }}, {{ ref('sessions') }}, {{ ref('int_content_uses') }}, {{ ref('lessons') }}
-- depends_on: {{ ref('int_room_events') }}, {{ ref('int_order_hours') }}, {{ ref('int_order_line_hours') }}
-- depends_on: {{ ref('int_transaction_hours') }}
-- How few people stand behind the smallest part of a day's figures: of all segments of a dimension, and of all their
-- hours. Rows without a person make it none.
{{ config(grain='day', key=['metric', 'dimension', 'day']) }}

with touched as (
    select day, starts_at, ends_at from {{ source('ops', 'touched_days') }}
),

-- One row for a person in an hour. Parts have numbers, which sort faster than the names of their metrics.
people as (
    {%- for part in people_behind() %}
    {%- set number = loop.index %}
    {%- for dimension in [none] + part.by | default([]) %}
    {{ 'union all' if not (loop.first and number == 1) }}
    select distinct
        touched.day,
        {{ number }} as part,
        '{{ dimension or "all" }}' as dimension,
        {{ "coalesce(known." ~ dimension ~ "::text, 'unknown')" if dimension else "'all'" }} as segment,
        known.hour,
        known.{{ part.who or 'user_id' }} as person
    from {{ ref(part.model) }} as known
    join touched on known.hour >= touched.starts_at and known.hour < touched.ends_at
    where {{ part.when or 'true' }}
    {%- if not dimension and 'currency' in part.by | default([]) %}
      and known.currency = (select currency from ops.tenant)
    {%- endif %}
    {%- endfor %}
    {%- endfor %}
),

hours as (
    select day, part, dimension, segment, hour, count(person) as people
    from people
    group by 1, 2, 3, 4, 5
),

days as (
    select day, part, dimension, segment, count(person) as people
    from (select distinct day, part, dimension, segment, person from people) as people
    group by 1, 2, 3, 4
),

fewest as (
    select day, part, dimension, min(people) as fewest_day, null::bigint as fewest_hour from days group by 1, 2, 3
    union all
    select day, part, dimension, null, min(people) from hours group by 1, 2, 3
),

parts (part, metric) as (
    values
    {%- for part in people_behind() %}
    {%- set number = loop.index %}
    {%- for metric in part.metrics %}
        {{ ',' if not (loop.first and number == 1) }}({{ number }}, '{{ metric }}')
    {%- endfor %}
    {%- endfor %}
)

select
    parts.metric,
    fewest.dimension,
    fewest.day,
    max(fewest.fewest_day) as fewest_day,
    max(fewest.fewest_hour) as fewest_hour
from fewest
join parts using (part)
group by 1, 2, 3
