{# A folder is a schema: the name is taken as it stands, with no prefix of a developer's. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}

{# A file's name is unique in the project, a relation's in its schema: views_metric_daily is views.metric_daily. #}
{% macro generate_alias_name(custom_alias_name, node) -%}
    {%- set layer = generate_schema_name(node.config.schema, node) | trim -%}
    {{ custom_alias_name or node.name.removeprefix(layer ~ '_') }}
{%- endmacro %}
