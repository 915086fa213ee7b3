{# Whether a relation has to be made: it is not there, or was made from another definition. #}

{% macro definition_of(relation) -%}
    {%- call statement('definition_of', fetch_result=True) -%}
        select definition
        from ops.definitions
        where relation = '{{ relation.schema }}.{{ relation.identifier }}'
          and to_regclass('{{ relation.schema }}.{{ relation.identifier }}') is not null
    {%- endcall -%}
    {%- set rows = load_result('definition_of')['data'] -%}
    {{ return(rows[0][0] if rows else none) }}
{%- endmacro %}

{% macro remember_definition(relation, definition) -%}
    {%- call statement('remember_definition') -%}
        insert into ops.definitions (relation, definition)
        values ('{{ relation.schema }}.{{ relation.identifier }}', '{{ definition }}')
        on conflict (relation) do update set definition = excluded.definition, built_at = clock_timestamp()
    {%- endcall -%}
{%- endmacro %}

{# One builder of a relation at a time; the others wait for its transaction to end. #}
{% macro lock_relation(relation) -%}
    {%- call statement('lock') -%}
        select pg_advisory_xact_lock(hashtextextended('{{ relation.schema }}.{{ relation.identifier }}', 7461))
    {%- endcall -%}
{%- endmacro %}
