-- Every row that a staging model holds, with the reason. A model with rules of its own is one name more.
{%- for name in [
    'stg_content_events',
    'stg_lessons',
    'stg_requests',
] %}
{{ 'union all' if not loop.first }}
{{ held_rows(name) }}
{%- endfor %}
