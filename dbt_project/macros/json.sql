{# Properties as columns. What has another type than its name promises is null here: a broken value must not stop a build.
   Where it matters, the row is held (see `held`). #}

{% macro text_property(name) -%}
    properties ->> '{{ name }}'
{%- endmacro %}

{% macro number_property(name) -%}
    ops.number_of(properties -> '{{ name }}')
{%- endmacro %}

{# The time zone in which somebody was; Segment's calls have it in their context or traits. A name that is no zone is
   null. Most events tell none, and are asked but once. #}
{% macro zone_property() -%}
    case when properties ?| array['timezone', 'context', 'traits'] then ops.known_zone(coalesce(
        properties ->> 'timezone', properties #>> '{context,timezone}', properties #>> '{traits,timezone}'
    )) end
{%- endmacro %}
