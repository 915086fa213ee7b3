{# Properties as columns. What has another type than its name promises is null here, and the gate on the view says so:
   a broken value must not stop a build. #}

{% macro text_property(name) -%}
    properties ->> '{{ name }}'
{%- endmacro %}

{% macro number_property(name) -%}
    ops.number_of(properties -> '{{ name }}')
{%- endmacro %}
