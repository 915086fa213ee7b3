{#
    The materialization `tide`: a table that stands at a tide mark.

    A model's file holds its SELECT over the hours of `ops.touched` (or the days of `ops.touched_days`, and so on). This
    runs it for what the loads between the table's mark and the run's high mark touched, replaces the rows of those
    hours or days that are no longer what they were, and moves the mark, all in one transaction. So groups that vanished
    vanish, a late event costs its own hour, and a killed build leaves the table where it stood.

    A changed definition, be it the table's own or that of something it is built from, computes everything again, but
    for the hours whose raw events are gone: their figures stay.

    grain     'minute', 'hour', 'day', 'week' or 'period': what says which rows belong to what was touched;
              'entity': a person or thing, whose rows are computed again where a table that they are made of changed
    entity    of grain 'entity': the column that names the person or thing
    of        of grain 'entity': the models that it is made of, each of which `tells` this entity
    tells     the columns whose values are told, where rows changed, to the tables of grain 'entity' made of this one
    key       the columns that identify a row; they become the primary key
    columns   the columns with their types, where the SELECT reads the table itself and so cannot tell before it is there
    settles   whether rows say is_final, and so change when their hour settles
    affected  the condition of the rows that are computed again, where more than their grain decides. It may read
              `fresh`, the rows as they are now
    ripples   whether a touched hour changes rows of other hours: those that it did are told to what is built from here
    contract  enforced: the columns of the SELECT are those that the YAML names, with their types, or nothing is built
    restates  whether a change of a final figure is written to marts.restatements
#}
{% materialization tide, adapter='postgres' %}
    {%- set target = this.incorporate(type='table') -%}
    {%- set key = config.require('key') -%}

    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- set known = known_state(target, stand_still(target)) -%}
    {%- set made_of = sql ~ config.require('grain') ~ key ~ config.get('affected', '') -%}
    {%- set tallies = keep_tallies(target, model.name) -%}
    {%- set definition = definition_of(made_of ~ index_names(target) ~ tallies, known.parents) -%}
    {%- set anew = known.definition != definition -%}
    {%- set after = 0 if anew else known.load_id -%}

    {%- if not anew and after == known.up_to -%}
        {{ nothing_to_do() }}
    {%- else -%}
        {%- set window -%}
            select set_config('tidemark.after', '{{ after }}', true),
                   set_config('tidemark.up_to', '{{ known.up_to }}', true),
                   set_config('tidemark.anew', '{{ anew | lower }}', true)
        {%- endset -%}
        {%- if anew -%}
            {%- call statement('window') -%} {{ window }} {%- endcall -%}
            {{ shape_table(target, key, known.exists) }}
            {{ remember_definition(target, definition) }}
            {{ forget_gate(target) }}
            {%- set columns = adapter.get_columns_in_relation(target) | map(attribute='quoted') | list -%}
        {%- else -%}
            {%- set columns = known.columns -%}
        {%- endif -%}
        {%- call statement('main') -%} {# all at once: dbt takes longer over a statement than the database over most #}
            {{ window }};
            {% if known.exists -%}
            {#- what was touched is known for good only from the snapshot in which the rows are read, too #}
            {%- set span = known.span if load_cached_relation(target) %}
            {{ replace_rows(target, key, columns, narrowed(sql, anew, span), anew, known.up_to) }}
            {%- else -%}
            insert into {{ target }} ({{ columns | join(', ') }})
            select {{ columns | join(', ') }} from ({{ sql }}) as model {{ in_order() }};
            {{ move_mark(target, known.up_to, 'true') }}
            {%- endif %}
            {%- if anew %};
            analyze {{ target }}
            {%- endif %}
        {%- endcall -%}
        {%- if anew and tallies.strip() -%} {%- call statement('tallies') -%} {{ tallies }} {%- endcall -%} {%- endif -%}
    {%- endif -%}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% if anew %}{% do persist_docs(target, model) %}{% endif %}
    {{ adapter.commit() }}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}


{# One builder of a table at a time, and one snapshot for all that it does: what it deletes follows from the same touched
   hours as what it writes, whatever other models, gates or runs commit meanwhile. LOCK TABLE takes no snapshot, so the
   snapshot is that of the moment at which the table is ours. #}
{% macro stand_still(target) -%}
    {%- if load_cached_relation(target) -%}
        set transaction isolation level repeatable read;
        lock table {{ target }} in share row exclusive mode
    {%- else -%}
        {{ lock_relation(target) }}
    {%- endif -%}
{%- endmacro %}


{# Write down where a table stands now; `moved` is the SQL of whether its rows changed on the way. #}
{% macro move_mark(relation, up_to, moved) -%}
    insert into ops.tidemarks (table_name, load_id, moved_id)
    values ('{{ relation.schema }}.{{ relation.identifier }}', {{ up_to }}, {{ up_to }})
    on conflict (table_name) do update
    set load_id = excluded.load_id, built_at = clock_timestamp(),
        moved_id = case when {{ moved }} then excluded.moved_id else tidemarks.moved_id end
{%- endmacro %}


{# That a model is as it should be, without asking the database. #}
{% macro nothing_to_do() -%}
    {%- call noop_statement('main', 'CURRENT') -%} -- nothing is new {%- endcall -%}
{%- endmacro %}


{# Make the table, or bring the one that is there to the columns and the key that its new SELECT asks for. #}
{% macro shape_table(target, key, exists) %}
    {%- set shape = make_temp_relation(target, '__shape') -%}
    {%- call statement('shape') -%}
        create temporary table {{ shape.include(schema=False, database=False) }}
        {% if config.get('columns') -%}
        ({{ config.get('columns') }}) on commit drop
        {%- else -%}
        on commit drop as select * from ({{ sql }}) as model where false
        {%- endif %}
    {%- endcall -%}
    {%- if exists -%}
        {%- do process_schema_changes('sync_all_columns', shape, target) -%}
        {{ change_key(target, key) }}
    {%- else -%}
        {%- call statement('create') -%}
            create table {{ target }} (
                like {{ shape.include(schema=False, database=False) }},
                primary key ({{ key | join(', ') }})
            )
        {%- endcall -%}
        {%- for index in config.get('tide_indexes', []) -%}
            {%- call statement('index') -%}
                create index on {{ target }} {{ index if index is string else '(' ~ index | join(', ') ~ ')' }}
            {%- endcall -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if index_names(target) -%}
        {%- call statement('index_names') -%} {{ index_names(target) }} {%- endcall -%}
    {%- endif -%}
    {%- if config.get('contract').enforced %} {{ get_assert_columns_equivalent(sql) }} {%- endif -%}
{% endmacro %}


{% macro change_key(target, key) %}
    {%- call statement('key', fetch_result=True) -%}
        select conname, (
            select array_to_string(array_agg(attname order by position), ', ')
            from unnest(conkey) with ordinality as columns (attnum, position)
            join pg_attribute using (attnum)
            where attrelid = conrelid
        )
        from pg_constraint
        where conrelid = '{{ target }}'::regclass and contype = 'p'
    {%- endcall -%}
    {%- set row = load_result('key')['data'] | first -%}
    {%- if not row or row[1] != key | join(', ') -%}
        {%- call statement('change_key') -%}
            {%- if row %} alter table {{ target }} drop constraint {{ row[0] }}; {%- endif %}
            delete from {{ target }} where {{ not_frozen() }};
            alter table {{ target }} add primary key ({{ key | join(', ') }})
        {%- endcall -%}
    {%- endif -%}
{% endmacro %}


{# The condition of the rows that this build computes again because of what was touched. #}
{% macro affected_rows(anew) %}
    {%- set grain = config.get('grain') -%}
    {%- set touched = {
        'minute': 'minute in (select minute from ops.touched_minutes)',
        'hour': 'hour in (select hour from ops.' ~ ('touched_or_settled' if config.get('settles') else 'touched') ~ ')',
        'day': 'day in (select day from ops.touched_days)',
        'week': "week in (select start_date from ops.touched_periods where grain = 'week')",
        'period': '(grain, start_date) in (select grain, start_date from ops.touched_periods)',
        'entity': config.get('entity') ~ ' in ' ~ narrowed(touched_entities(config.get('entity'), config.get('of')), anew)
                  if grain == 'entity',
    }[grain] -%}
    {{ return('(' ~ config.get('affected', touched) ~ ')') }}
{% endmacro %}


{# The condition of the rows that a changed definition may change: not those whose raw events are gone. #}
{% macro not_frozen() %}
    {{ return({
        'minute': 'true',
        'hour': 'ops.day_of(hour, ops.timezone()) not in (select day from ops.frozen_days)',
        'day': 'day not in (select day from ops.frozen_days)',
        'week': "week not in (select date_trunc('week', day::timestamp)::date from ops.frozen_days)",
        'period': "(grain, start_date) not in (
            select name, date_trunc(name, day::timestamp)::date
            from ops.frozen_days cross join unnest(array['week', 'month', 'quarter']) as name
        )",
        'entity': 'true',
    }[config.get('grain')]) }}
{% endmacro %}


{# Compute the affected rows, write what differs, down to the byte, and move the mark. What differs is found between two
   small tables: held against the target itself, the planner reads all of it. Bytes are hashed; by their keys, the planner
   would sort both. #}
{% macro replace_rows(target, key, columns, select, anew, up_to) -%}
    {%- set list = columns | join(', ') -%}
    {%- set ripples = config.get('ripples') and not anew -%}
    {%- if config.get('grain') == 'entity' and not anew %}
    {{ write_down_touched() }}
    {%- endif %}
    create temporary table fresh on commit drop as
    select {{ list }} from ({{ select }}) as model;
    {%- if config.get('affected') %} {# of rows found so, the planner expects one #}
    create unique index on fresh ({{ key | join(', ') }});
    {%- endif %}
    analyze fresh;
    create temporary table stale on commit drop as
    select {{ list }} from {{ target }} where {{ not_frozen() ~ ' or ' if anew }}{{ affected_rows(anew) }};
    analyze stale;
    create temporary table gone on commit drop as
    select * from stale where not exists (select from fresh where record_send(fresh) = record_send(stale));
    create temporary table come on commit drop as
    select * from fresh where not exists (select from stale where record_send(stale) = record_send(fresh));
    {%- for entity in config.get('tells', []) if not anew %}
    insert into ops.changed_entities (load_id, model, entity, name)
    select {{ up_to }}, '{{ target.identifier }}', '{{ entity }}', name
    from (select {{ entity }} as name from gone union select {{ entity }} from come) as changed
    where name is not null
    on conflict do nothing;
    {%- endfor %}
    {%- if config.get('restates') %}
    {{ restate(anew, up_to) }};
    {%- endif %}
    do $tide$
    declare
        moved boolean;
    begin
        delete from {{ target }} as known using gone
        where {% for column in key %}known.{{ column }} = gone.{{ column }}{{ ' and ' if not loop.last }}{% endfor %};
        moved := found;
        insert into {{ target }} ({{ list }}) select {{ list }} from come {{ in_order() }};
        moved := moved or found;
        {{ move_mark(target, up_to, 'true' if anew else 'moved') }};
    end
    $tide$
    {%- if ripples %}; -- last: from here on they are touched, too
    insert into ops.ripples (load_id, hour)
    select {{ up_to }}, hour from (select hour from gone union select hour from come) as rippled
    where hour not in (select hour from ops.touched)
    on conflict do nothing
    {%- endif %}
{%- endmacro %}


{# Rows are stored by their time, as they come hour by hour anyway: what reads some days of many reads few pages. #}
{% macro in_order() -%}
    {{ 'order by ' ~ config.get('grain') if config.get('grain') in ('minute', 'hour', 'day') }}
{%- endmacro %}


{# A gate judges what was touched since it passed; of a table that was computed anew, that is everything. #}
{% macro forget_gate(relation) -%}
    {%- call statement('forget_gate') -%}
        delete from ops.tidemarks where table_name = 'gate:{{ relation.schema }}.{{ relation.identifier }}'
    {%- endcall -%}
{%- endmacro %}


{# The rows of a staging model in the hours that this build computes, as `touched` and `name`. Each hour is read by itself
   (`offset 0` keeps it from being joined otherwise), through the index and in the partitions in which it lies; the
   equality decides in the half hours that some zones skip or repeat. #}
{% macro in_touched_hours(relation, name) -%}
    {{ source('ops', 'touched') }} as touched
    cross join lateral (
        select *
        from {{ relation }}
        where occurred_at >= touched.hour and occurred_at < touched.hour + interval '1 hour' and hour = touched.hour
        {{ span_of_hours() }}
        offset 0
    ) as {{ name }}
{%- endmacro %}


{# Where a build puts from when to when the touched hours reach, so that the planner weighs the partitions of that time
   only, and not those of years: over a hundred it thinks longer than it takes to read the events of an hour. #}
{% macro span_of_hours() -%} /* span of the touched hours */ {%- endmacro %}


{# The people or things to compute, as a subquery of one column named after the entity: those that changed in one of
   the models, or all where everything is computed anew. #}
{% macro touched_entities(entity, models) -%}
    (/* touched */
        select name as {{ entity }}
        from {{ source('ops', 'touched_entities') }}
        where entity = '{{ entity }}' and model in ('{{ models | join("', '") }}')
        {%- for name in models %}
        union
        select {{ entity }}::text from {{ ref(name) }} where ops.build_setting('after') = 0
        {%- endfor %}
    /* end */)
{%- endmacro %}


{# Where some people or things are computed, they are written down and counted first: of the subquery above, the planner
   would expect to meet all of them, or, of those who changed just now, next to none. #}
{% macro write_down_touched() -%}
    create temporary table touched_names on commit drop as
    select distinct name from ops.touched_entities
    where entity = '{{ config.get('entity') }}' and model in ('{{ config.get('of') | join("', '") }}');
    analyze touched_names;
{%- endmacro %}

{# A SELECT for what was touched, where the planner would not see by itself how little that is. #}
{% macro narrowed(sql, anew, span='') -%}
    {%- set written_down = 'select name as ' ~ config.get('entity') ~ ' from touched_names' -%}
    {%- set of_entities = modules.re.sub('(?s)/[*] touched [*]/.*?/[*] end [*]/', written_down, sql) -%}
    {{ return(sql if anew else of_entities | replace(span_of_hours(), span or '')) }}
{%- endmacro %}
