{# Views are made when their definition changes, not at every run: nobody waits for a lock, nothing depends on luck. #}
{% materialization view, adapter='postgres' %}
    {%- set target = this.incorporate(type='view') -%}

    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- set known = known_state(target, lock_relation(target)) -%}
    {%- set is_shown = target.schema == 'api' -%}
    {%- set rule = access_rules().get(target.identifier, {}) -%}
    {%- set definition = definition_of(sql ~ (rule ~ wall(rule) ~ my_people(rule) if is_shown else ''), known.parents) -%}
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
        {{ nothing_to_do() }}
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
    {%- set known = known_state(target, lock_relation(target)) -%}
    {%- set definition = definition_of(sql ~ key, known.parents) -%}
    {%- set anew = known.definition != definition -%}
    {%- set moved = anew or known.parents_moved or model.depends_on.nodes | select('in', graph.sources) | list != [] -%}
    {%- if not moved and not known.has_old and known.load_id == known.up_to -%}
        {{ nothing_to_do() }}
    {%- else -%}
        {%- call statement('main') -%}
            {%- if anew %}
            drop materialized view if exists {{ old }} cascade;
            alter materialized view if exists {{ target }} rename to {{ target.identifier }}__old;
            create materialized view {{ target }} as {{ sql }};
            create unique index on {{ target }} ({{ key | join(', ') }});
            {%- else %}
            do $old$
            begin
                drop materialized view if exists {{ old }};
            exception when dependent_objects_still_exist then
                null; -- what reads it has not been made anew yet: the next build drops it
            end
            $old$;
            {%- endif %}
            {%- if moved and not anew %}
            refresh materialized view concurrently {{ target }};
            {%- endif %}
            {{ move_mark(target, known.up_to, moved | lower) }}
        {%- endcall -%}
        {%- if anew -%}
            {{ remember_definition(target, definition) }}
            {% do persist_docs(target, model) %}
        {%- endif -%}
    {%- endif -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}
