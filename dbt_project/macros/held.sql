{# Values that cannot be true are held: their rows stay out of the staging model, and are counted with the reason. #}

{# Why a row is held, and the value that is to blame; null where it is good. `rules` are [reason, condition, value], in
   the order in which they are tried. #}
{% macro held(rules) -%}
    case
        {%- for reason, condition, value in rules %}
        when {{ condition }} then '{{ reason }}'
        {%- endfor %}
    end as held_reason,
    case
        {%- for reason, condition, value in rules %}
        when {{ condition }} then left(({{ value }})::text, 40)
        {%- endfor %}
    end as held_detail
{%- endmacro %}

{# The condition that a property is there and is no number, although its name promises one. #}
{% macro is_no_number(name) -%}
    jsonb_typeof(properties -> '{{ name }}') <> 'null' and ops.number_of(properties -> '{{ name }}') is null
{%- endmacro %}

{# The held rows of a staging model. #}
{% macro held_rows(name) -%}
    select
        source, event_id, occurred_at, hour, load_id,
        '{{ name }}' as relation,
        held_reason as reason,
        held_detail as detail
    from {{ ref(name ~ '_checked') }}
    where held_reason is not null
{%- endmacro %}
