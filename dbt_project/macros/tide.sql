{#
    The materialization `tide`: a table that stands at a tide mark.

    A model's file holds its SELECT over the hours of `ops.touched` (or the days of `ops.touched_days`). This runs it
    for what the loads between the table's mark and the run's high mark touched: deletes those hours or days, inserts
    them as they are now, moves the mark, all in one transaction. So groups that vanished vanish, a late event costs
    its own hour, and a killed build leaves the table where it stood. A changed SELECT computes everything again.

    grain        'hour' or 'day': the column that says which rows belong to a touched hour or day
    key          the columns that identify a row; they become the primary key
    reach_hours  how many hours after an event its effect ends (0: in its own hour)
    settles      whether rows say is_final, and so change when their hour settles
#}
{% materialization tide, adapter='postgres' %}
    {%- set target = this.incorporate(type='table') -%}
    {%- set grain = config.require('grain') -%}
    {%- set key = config.require('key') -%}
    {%- set definition = local_md5(sql ~ grain ~ key) -%}

    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {{ lock_relation(target) }}

    {%- set known = definition_of(target) -%}
    {%- set marks = tide_marks(target, anew=(known != definition)) -%}
    {%- call statement('window') -%}
        select set_config('tidemark.after', '{{ marks.after }}', true),
               set_config('tidemark.up_to', '{{ marks.up_to }}', true),
               set_config('tidemark.reach_hours', '{{ config.get("reach_hours", 0) }}', true)
    {%- endcall -%}

    {%- if known != definition -%}
        {{ shape_table(target, key, known) }}
        {{ remember_definition(target, definition) }}
    {%- endif -%}

    {%- set columns = adapter.get_columns_in_relation(target) | map(attribute='quoted') | join(', ') -%}
    {%- call statement('delete') -%}
        {%- if known != definition %}
        delete from {{ target }}
        {%- elif grain == 'day' %}
        delete from {{ target }} where day in (select day from ops.touched_days)
        {%- else %}
        delete from {{ target }}
        where hour in (select hour from ops.{{ 'touched_or_settled' if config.get('settles') else 'touched' }})
        {%- endif %}
    {%- endcall -%}
    {%- call statement('main') -%}
        insert into {{ target }} ({{ columns }})
        select {{ columns }} from (
            {{ sql }}
        ) as model
    {%- endcall -%}
    {%- if known != definition -%}
        {%- call statement('analyze') -%} analyze {{ target }} {%- endcall -%}
    {%- endif -%}
    {%- call statement('mark') -%}
        insert into ops.tidemarks (table_name, load_id)
        values ('{{ target.schema }}.{{ target.identifier }}', {{ marks.up_to }})
        on conflict (table_name) do update set load_id = excluded.load_id, built_at = clock_timestamp()
    {%- endcall -%}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do persist_docs(target, model) %}
    {{ adapter.commit() }}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}


{# Where the table stands, and where this run takes it; a table never goes back. #}
{% macro tide_marks(relation, anew) %}
    {%- call statement('marks', fetch_result=True) -%}
        select
            coalesce(max(load_id), 0) as after,
            greatest(
                coalesce(max(load_id), 0),
                {{ var('high_mark') if var('high_mark') is not none
                   else '(select coalesce(max(load_id), 0) from raw.loads)' }}
            ) as up_to
        from ops.tidemarks
        where table_name = '{{ relation.schema }}.{{ relation.identifier }}'
    {%- endcall -%}
    {%- set row = load_result('marks')['data'][0] -%}
    {{ return({'after': 0 if anew else row[0], 'up_to': row[1]}) }}
{% endmacro %}


{# Make the table, or bring the one that is there to the columns that its new SELECT returns. #}
{% macro shape_table(target, key, known) %}
    {%- set shape = make_temp_relation(target) -%}
    {%- call statement('shape') -%}
        create temporary table {{ shape.include(schema=False, database=False) }} on commit drop as
        select * from ({{ sql }}) as model where false
    {%- endcall -%}
    {%- if known is none -%}
        {%- call statement('create') -%}
            drop table if exists {{ target }} cascade;
            create table {{ target }} (
                like {{ shape.include(schema=False, database=False) }},
                primary key ({{ key | join(', ') }})
            )
        {%- endcall -%}
        {%- for index in config.get('tide_indexes', []) -%}
            {%- call statement('index') -%} create index on {{ target }} ({{ index | join(', ') }}) {%- endcall -%}
        {%- endfor -%}
    {%- else -%}
        {%- do process_schema_changes('sync_all_columns', shape, target) -%}
    {%- endif -%}
{% endmacro %}


{# Joins a relation that has occurred_at and hour to the hours that this build computes. The bounds on occurred_at let
   PostgreSQL read no other partition; the equality decides in the half hours that some zones skip or repeat. #}
{% macro join_touched(relation) -%}
    join {{ source('ops', 'touched') }} as touched
        on {{ relation }}.occurred_at >= touched.hour
        and {{ relation }}.occurred_at < touched.hour + interval '1 hour'
        and {{ relation }}.hour = touched.hour
{%- endmacro %}
