{#
    Tallies: how much of a table there is of each kind. Triggers keep them, in the transaction that changes rows, whoever
    changes them (short of TRUNCATE): so what counts all people does not read all people again.

    of      the model of materialization `tide`, or the tally, whose rows the macro of the tally's name counts
    kinds   the columns that tell kinds apart, none of them null; after them comes one that is counted, `total`
    bits    where that is no number but a column of bits, its name: bits that come and go are turned
    A tally whose columns change takes another name, for what reads it stands until it is made anew itself.
#}
{% macro tallies() -%}
    {{ return({
        'user_state_counts': {'of': 'user_states', 'kinds': ['grain', 'start_date', 'state', 'cohort_date', 'leaves_on']},
        'bucket_counts': {'of': 'int_values_daily', 'kinds': ['grain', 'start_date', 'measure', 'segment', 'bucket']},
        'entity_quarters': {
            'of': 'int_entities_daily', 'kinds': ['quarter', 'measure', 'segment', 'entity'], 'bits': 'days'},
        'entity_counts': {'of': 'entity_quarters', 'kinds': ['measure', 'segment', 'grain', 'start_date']},
    }) }}
{%- endmacro %}

{# The weeks and months in which a person was there or away; and the days, with that on which they leave the 30 days. #}
{% macro user_state_counts(rows) -%}
    select
        grain,
        start_date,
        state,
        case when grain = 'day' then start_date else cohort_date end as cohort_date,
        case when grain = 'day' then least(start_date + 30, next_date) else start_date end as leaves_on,
        count(*) as total
    from {{ rows }}
    group by 1, 2, 3, 4, 5
{%- endmacro %}

{# How many values lie in each bucket, by week, month and quarter. #}
{% macro bucket_counts(rows) -%}
    select grain, date_trunc(grain, day::timestamp)::date as start_date, measure, segment, bucket, sum(count) as total
    from {{ rows }}
    cross join unnest(array['week', 'month', 'quarter']) as grains (grain)
    group by 1, 2, 3, 4, 5
{%- endmacro %}

{# The days of a quarter on which an entity was there, as bits: each day once, so what comes or goes turns its bit. #}
{% macro entity_quarters(rows) -%}
    select
        date_trunc('quarter', day::timestamp)::date as quarter, measure, segment, entity, bit_xor(ops.day_bit(day)) as days
    from {{ rows }}
    group by 1, 2, 3, 4
{%- endmacro %}

{# How many entities were there, by week, month and quarter; of weeks, those that lie in one quarter. #}
{% macro entity_counts(rows) -%}
    select measure, segment, grain, start_date, count(*) as total
    from {{ rows }}
    join (
        select
            quarter,
            grain,
            date_trunc(grain, day)::date as start_date,
            bit_or(ops.day_bit(day::date)) as days_within,
            count(*) as length
        from (select distinct quarter from {{ rows }}) as quarters
        cross join generate_series(
            quarter::timestamp, quarter::timestamp + interval '3 months' - interval '1 day', interval '1 day'
        ) as series (day)
        cross join unnest(array['week', 'month', 'quarter']) as grains (grain)
        group by 1, 2, 3
    ) as periods using (quarter)
    where (days & days_within) <> 0::bit(92) and (grain <> 'week' or length = 7)
    group by 1, 2, 3, 4
{%- endmacro %}

{# A tally as a relation. In a unit test, it is counted. #}
{% macro tally(name) -%}
    {%- set chain = [name] -%}
    {%- for _ in tallies() if tallies()[chain[-1]].of in tallies() -%} {%- do chain.append(tallies()[chain[-1]].of) -%} {%- endfor -%}
    {%- set model = ref(tallies()[chain[-1]].of) -%}
    {%- if not model.is_cte -%} {{ return(model.incorporate(path={'identifier': name})) }} {%- endif -%}
    {%- set counted = namespace(rows=model) -%}
    {%- for one in chain | reverse -%} 
        {%- set counted.rows = '(' ~ context[one](counted.rows) ~ ')' ~ (' as ' ~ one if not loop.last) -%}
    {%- endfor -%}
    {{ return(counted.rows) }}
{%- endmacro %}

{# Count a table that was computed anew, and have its tallies, and theirs, kept from now on: statements that are part of
   the definition of the table. #}
{% macro keep_tallies(target, of, root=none) -%}
    {%- for name, kept in tallies().items() if kept.of == of -%}
        {%- set table = target.incorporate(path={'identifier': name}) -%}
        {%- set counted = kept.bits or 'total' -%}
        {%- set counted_from = root or target.schema ~ '.' ~ target.identifier -%}
        {%- set kinds = kept.kinds | join(', ') -%}
        {%- set is_gone = '(known.' ~ kept.kinds | join(', known.') ~ ') = (gone.' ~ kept.kinds | join(', gone.') ~ ')' -%}
        create table if not exists {{ table }} as {{ context[name](target) }} limit 0;
        create unique index if not exists {{ name }}_kinds on {{ table }} ({{ kinds }});
        delete from {{ table }};
        insert into {{ table }} ({{ kinds }}, {{ counted }}) {{ context[name](target) }};
        analyze {{ table }};

        create or replace function {{ table.schema }}.{{ name }}_kept() returns trigger
        language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
        declare
            unknown bigint;
        begin
            if current_setting('tidemark.anew', true) = 'true' then
                return null;  -- all is computed anew, and counted then
            end if;
            if tg_op <> 'INSERT' then
                with gone as ({{ context[name]('before') }}),
                known as (
                    update {{ table }} as known
                    set {{ counted }} = known.{{ counted }} {{ '#' if kept.bits else '-' }} gone.{{ counted }}
                    from gone
                    where {{ is_gone }}
                      and {{ 'known.' ~ counted ~ ' & ' if kept.bits else 'known.' ~ counted ~ ' >= ' -}}
                          gone.{{ counted }} {{- ' = gone.' ~ counted if kept.bits }}
                    returning 1
                )
                select (select count(*) from gone) - (select count(*) from known) into unknown;
                if unknown > 0 then
                    raise exception 'the tally {{ table.schema }}.{{ name }} lacks rows of {{ target.identifier }}: have all of it '
                        'counted again, delete from ops.definitions where relation = ''{{ counted_from }}'' and refresh';
                end if;
            end if;
            if tg_op <> 'DELETE' then
                insert into {{ table }} as known ({{ kinds }}, {{ counted }}) {{ context[name]('after') }}
                on conflict ({{ kinds }}) do update
                set {{ counted }} = known.{{ counted }} {{ '#' if kept.bits else '+' }} excluded.{{ counted }};
            end if;
            if tg_op <> 'INSERT' then
                delete from {{ table }} as known
                using ({{ context[name]('before') }}) as gone
                where {{ is_gone }} and known.{{ counted }} = {{ '0::bit(92)' if kept.bits else '0' }};
            end if;
            return null;
        end
        $$;
        revoke all on function {{ table.schema }}.{{ name }}_kept() from public;
        {%- for event, rows in {
            'insert': 'new table as after', 'delete': 'old table as before',
            'update': 'old table as before new table as after',
        }.items() %}
        create or replace trigger {{ name }}_{{ event }} after {{ event }} on {{ target }}
        referencing {{ rows }} for each statement execute function {{ table.schema }}.{{ name }}_kept();
        {%- endfor %}
        {{ keep_tallies(table, name, counted_from) }}
    {%- endfor -%}
{%- endmacro %}
