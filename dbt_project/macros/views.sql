{# Views are made when their definition changes, not at every run: nobody waits for a lock, nothing depends on luck. #}
{% materialization view, adapter='postgres' %}
    {%- set target = this.incorporate(type='view') -%}
    {%- set definition = local_md5(sql) -%}

    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {{ lock_relation(target) }}
    {%- if definition_of(target) != definition -%}
        {%- call statement('main') -%}
            drop view if exists {{ target }} cascade;
            create view {{ target }} as {{ sql }}
        {%- endcall -%}
        {{ remember_definition(target, definition) }}
        {% do persist_docs(target, model) %}
    {%- else -%}
        {%- call statement('main') -%} select 1 {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}


{#
    The materialization `matview`: a materialized view that is refreshed while people read it.

    key  the columns of its unique index, without which PostgreSQL cannot refresh it concurrently

    A changed definition is applied by itself: the old one is renamed and stays under the views that read it, until
    those have been made anew over the new one.
#}
{% materialization matview, adapter='postgres' %}
    {%- set target = this.incorporate(type='materialized_view') -%}
    {%- set old = target.schema ~ '.' ~ target.identifier ~ '__old' -%}
    {%- set key = config.require('key') -%}
    {%- set definition = local_md5(sql ~ key) -%}

    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {{ lock_relation(target) }}
    {%- if definition_of(target) == definition -%}
        {%- call statement('main') -%}
            drop materialized view if exists {{ old }};
            refresh materialized view concurrently {{ target }}
        {%- endcall -%}
    {%- else -%}
        {%- call statement('main') -%}
            drop materialized view if exists {{ old }} cascade;
            alter materialized view if exists {{ target }} rename to {{ target.identifier }}__old;
            create materialized view {{ target }} as {{ sql }};
            create unique index on {{ target }} ({{ key | join(', ') }})
        {%- endcall -%}
        {{ remember_definition(target, definition) }}
        {% do persist_docs(target, model) %}
        {{ forget_readers(target) }}
    {%- endif -%}
    {%- call statement('mark') -%}
        insert into ops.tidemarks (table_name, load_id)
        values ('{{ target.schema }}.{{ target.identifier }}', {{ tide_marks(target, anew=false).up_to }})
        on conflict (table_name) do update set load_id = excluded.load_id, built_at = clock_timestamp()
    {%- endcall -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}


{# The api views over a materialized view that was made anew still read the old one: have them made anew too. #}
{% macro forget_readers(relation) -%}
    {%- call statement('forget_readers') -%}
        delete from ops.definitions
        where relation in (
            {%- for node in graph.nodes.values() if node.resource_type == 'model'
                and model.unique_id in node.depends_on.get('nodes', []) %}
            '{{ node.schema }}.{{ node.alias }}',
            {%- endfor %}
            ''
        )
    {%- endcall -%}
{%- endmacro %}
