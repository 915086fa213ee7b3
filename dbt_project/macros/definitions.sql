{# Whether a relation has to be made: it is not there, or was made from another definition. #}

{# What is known of a relation: whether it exists, what it was made from, and what its parents were made from. #}
{% macro known_definition(relation) -%}
    {%- set name = relation.schema ~ '.' ~ relation.identifier -%}
    {%- call statement('known_definition', fetch_result=True) -%}
        select
            to_regclass('{{ name }}') is not null as exists,
            max(definition) filter (where relation = '{{ name }}' and to_regclass(relation) is not null) as definition,
            string_agg(definition, ',' order by relation) filter (where relation <> '{{ name }}') as parents
        from ops.definitions
        where relation in ('{{ ([name] + parents()) | join("', '") }}')
    {%- endcall -%}
    {%- set row = load_result('known_definition')['data'][0] -%}
    {{ return({'exists': row[0], 'definition': row[1], 'parents': row[2]}) }}
{%- endmacro %}

{# The models that this one reads, as relations. #}
{% macro parents() -%}
    {%- set names = [] -%}
    {%- for id in model.depends_on.nodes if id in graph.nodes -%}
        {%- do names.append(graph.nodes[id].schema ~ '.' ~ graph.nodes[id].alias) -%}
    {%- endfor -%}
    {{ return(names) }}
{%- endmacro %}

{# A checksum of what a relation is made from, its parents included. Comments and indentation are not part of it. #}
{% macro definition_of(text, parents) -%}
    {%- set code = modules.re.sub('(?m)^[ \t]*--.*$', '', text) -%}
    {{ return(local_md5(modules.re.sub('(?m)^[ \t\n]+|[ \t]+$', '', code) ~ parents)) }}
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
