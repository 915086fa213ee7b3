{# Properties as columns. What has another type than its name promises is null here, and the gate on the view says so:
   a broken value must not stop a build. #}

{% macro text_property(name) -%}
    properties ->> '{{ name }}'
{%- endmacro %}

{% macro number_property(name) -%}
    ops.number_of(properties -> '{{ name }}')
{%- endmacro %}

{# The time zone in which somebody was; Segment's calls have it in their context or traits. A name that is no zone is
   null. #}
{% macro zone_property() -%}
    ops.known_zone(coalesce(
        properties ->> 'timezone', properties #>> '{context,timezone}', properties #>> '{traits,timezone}'
    ))
{%- endmacro %}
