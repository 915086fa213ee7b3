{# Views are made when their definition changes, not at every run: nobody waits for a lock, nothing depends on luck. #}
{% materialization view, adapter='postgres' %}
    {%- set target = this.incorporate(type='view') -%}

    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {{ lock_relation(target) }}
    {%- set known = known_definition(target) -%}
    {%- set is_shown = target.schema == 'api' -%}
    {%- set rule = access_rules().get(target.identifier, {}) -%}
    {%- set definition = definition_of(sql ~ (rule ~ wall(rule) if is_shown else ''), known.parents) -%}
    {%- if known.definition != definition -%}
        {%- call statement('main') -%}
            drop view if exists {{ target }} cascade;
            create view {{ target }} {{ view_options(target.identifier, target.schema) }}
            as {{ shown(sql, target.identifier) if is_shown else sql }}
        {%- endcall -%}
        {{ remember_definition(target, definition) }}
        {{ forget_gate(target) }}
        {% do persist_docs(target, model) %}
    {%- else -%}
        {%- call statement('main') -%} select 1 {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}


{#
    The materialization `matview`: a materialized view that is refreshed while people read it, when something that it
    reads has changed.

    key  the columns of its unique index, without which PostgreSQL cannot refresh it concurrently

    A changed definition is applied by itself: the old one is renamed and stays under the views that read it, until
    those have been made anew over the new one.
#}
{% materialization matview, adapter='postgres' %}
    {%- set target = this.incorporate(type='materialized_view') -%}
    {%- set old = target.schema ~ '.' ~ target.identifier ~ '__old' -%}
    {%- set key = config.require('key') -%}

    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {{ lock_relation(target) }}
    {%- set known = known_definition(target) -%}
    {%- set definition = definition_of(sql ~ key, known.parents) -%}
    {%- set marks = tide_marks(target, anew=false) -%}
    {%- set moved = known.definition != definition or has_moved(marks.after) -%}
    {%- if known.definition != definition -%}
        {%- call statement('main') -%}
            drop materialized view if exists {{ old }} cascade;
            alter materialized view if exists {{ target }} rename to {{ target.identifier }}__old;
            create materialized view {{ target }} as {{ sql }};
            create unique index on {{ target }} ({{ key | join(', ') }})
        {%- endcall -%}
        {{ remember_definition(target, definition) }}
        {% do persist_docs(target, model) %}
    {%- elif moved -%}
        {%- call statement('main') -%}
            drop materialized view if exists {{ old }};
            refresh materialized view concurrently {{ target }}
        {%- endcall -%}
    {%- else -%}
        {%- call statement('main') -%} drop materialized view if exists {{ old }} {%- endcall -%}
    {%- endif -%}
    {%- if moved or marks.after != marks.up_to -%} {{ move_mark(target, marks.up_to, moved) }} {%- endif -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}


{# Whether anything that this model reads has changed after a load, or has no mark that could tell. #}
{% macro has_moved(after) -%}
    {%- if model.depends_on.nodes | select('in', graph.sources) | list -%} {{ return(true) }} {%- endif -%}
    {%- if not parents() -%} {{ return(false) }} {%- endif -%}
    {%- call statement('has_moved', fetch_result=True) -%}
        select bool_or(coalesce(moved_id > {{ after }}, true))
        from unnest(array['{{ parents() | join("', '") }}']) as parents (table_name)
        left join ops.tidemarks using (table_name)
    {%- endcall -%}
    {{ return(load_result('has_moved')['data'][0][0]) }}
{%- endmacro %}
