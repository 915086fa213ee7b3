{# Whether a relation has to be made: it is not there, or was made from another definition. #}

{# What is known of a relation, once `lock`, a statement, has made it ours: whether it exists, of which columns, what it
   was made from, what its parents were made from, at which load it stands, and at which this run takes it; of
   a table by the hour, also the condition of the time in which the hours that were touched in between lie. #}
{% macro known_state(relation, lock) -%}
    {%- set name = relation.schema ~ '.' ~ relation.identifier -%}
    {%- set high_mark = var('high_mark') if var('high_mark') is not none
        else '(select coalesce(max(load_id), 0) from raw.loads)' -%}
    {%- call statement('known', fetch_result=True) -%}
        {{ lock }};
        select
            to_regclass('{{ name }}') is not null,
            (
                select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
                where attrelid = to_regclass('{{ name }}') and attnum > 0 and not attisdropped
            ),
            max(definition) filter (where relation = '{{ name }}' and to_regclass(relation) is not null),
            string_agg(definition, ',' order by relation) filter (where relation <> '{{ name }}'),
            (select coalesce(max(load_id), 0) from ops.tidemarks where table_name = '{{ name }}'),
            {{ high_mark }},
            to_regclass('{{ name }}__old') is not null,
            (
                select coalesce(bool_or(coalesce(parent.moved_id > own.load_id, true)), false)
                from unnest(array['{{ parents() | join("', '") }}']) as parents (table_name)
                left join ops.tidemarks as parent using (table_name)
                left join ops.tidemarks as own on own.table_name = '{{ name }}'
                where parents.table_name <> ''
            ),
            {% if config.get('grain') == 'hour' -%}
            (
                select format(
                    'and occurred_at >= to_timestamp(%s) and occurred_at < to_timestamp(%s)',
                    extract(epoch from min(hour)), extract(epoch from max(hour)) + 3600
                )
                from ops.changed_hours
                where load_id > (select load_id from ops.tidemarks where table_name = '{{ name }}')
                  and load_id <= {{ high_mark }}
                having count(*) > 0
            )
            {%- else -%} null {%- endif %}
        from ops.definitions
        where relation in ('{{ ([name] + parents()) | join("', '") }}')
    {%- endcall -%}
    {%- set row = load_result('known')['data'][0] -%}
    {{ return({
        'exists': row[0], 'columns': (row[1] or '').split(', '), 'definition': row[2], 'parents': row[3], 'load_id': row[4],
        'up_to': [row[4], row[5]] | max, 'has_old': row[6], 'parents_moved': row[7],
        'span': row[8],
    }) }}
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

{# The statement that waits until nobody else builds a relation, and makes it ours until the transaction ends. #}
{% macro lock_relation(relation) -%}
    select pg_advisory_xact_lock(hashtextextended('{{ relation.schema }}.{{ relation.identifier }}', 7461))
{%- endmacro %}
