{# Properties as columns. What has another type than its name promises is null here: a broken value must not stop a build.
   Where it matters, the row is held (see `held`). #}

{% macro text_property(name) -%}
    properties ->> '{{ name }}'
{%- endmacro %}

{% macro number_property(name) -%}
    ops.number_of(properties -> '{{ name }}')
{%- endmacro %}
