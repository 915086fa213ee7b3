{# Joins a relation that has occurred_at to the minutes that this build computes. #}
{% macro join_touched_minutes(relation) -%}
    join {{ source('ops', 'touched_minutes') }} as touched
        on {{ relation }}.occurred_at >= touched.minute
        and {{ relation }}.occurred_at < touched.minute + interval '1 minute'
{%- endmacro %}


{# Minute buckets are kept for the two days of event time before the newest event: older ones leave with each build. #}
{% macro forget_old_minutes(relation) -%}
    delete from {{ relation }}
    where minute <= (select max(newest_at) from raw.loads where load_id <= ops.build_setting('up_to')) - interval '2 days'
{%- endmacro %}


{#
    How metrics of the catalogue are counted in minutes: for each model the dimension of its segments, and its measures.
    A measure adds up over minutes and segments unless it is `distinct` or a `percentile`; a ratio is that of two that
    do, as (numerator, denominator). Money is added up over all in the tenant's currency only, as in the catalogue.
#}
{% macro minute_measures() -%}
    {{ return([
        {'from': 'int_user_minutes', 'measures': {
            'active_users': {'value': 'count(distinct user_id)', 'adds_up': 'distinct'},
            'events': {'value': 'sum(events)'},
        }},
        {'from': 'stg_content_events', 'dimension': 'category', 'measures': {
            'content_views': {'value': "count(*) filter (where event_type = 'content_viewed')"},
            'content_completions': {'value': "count(*) filter (where event_type = 'content_completed')"},
            'content_starts': {'value': "count(*) filter (where event_type = 'content_started')"},
            'content_seconds': {'value': 'coalesce(sum(duration_seconds), 0)'},
            'average_rating': {'ratio': ['sum(rating)', 'count(rating)']},
        }},
        {'from': 'stg_lessons', 'dimension': 'skill', 'measures': {
            'lessons_completed': {'value': 'count(*)'},
            'average_score': {'ratio': ['sum(score)', 'count(score)']},
            'learning_seconds': {'value': 'coalesce(sum(duration_seconds), 0)'},
        }},
        {'from': 'stg_room_events', 'dimension': 'category', 'measures': {
            'rooms_created': {'value': "count(*) filter (where event_type = 'room_created')"},
            'rooms_matched': {'value': "count(*) filter (where event_type = 'room_matched')"},
            'votes_cast': {'value': "count(*) filter (where event_type = 'vote_cast')"},
        }},
        {'from': 'int_order_minutes', 'dimension': 'currency', 'measures': {
            'orders': {'value': 'count(distinct order_id) filter (where is_order)', 'adds_up': 'distinct'},
            'units': {'value': 'sum(units)'},
            'revenue': {'value': 'sum(revenue)', 'is_money': true},
        }},
        {'from': 'stg_transactions', 'dimension': 'currency', 'measures': {
            'transactions': {'value': "count(*) filter (where event_type = 'transaction_created')"},
            'transaction_volume': {
                'value': "coalesce(sum(amount) filter (where event_type = 'transaction_created'), 0)", 'is_money': true,
            },
        }},
        {'from': 'int_request_minutes', 'dimension': 'endpoint', 'measures': {
            'requests': {'value': 'sum(requests)'},
            'error_rate': {'ratio': ['sum(errors)', 'sum(requests)']},
            'availability_rate': {'ratio': ['sum(requests - errors)', 'sum(requests)']},
        }},
        {'from': 'int_request_minutes', 'dimension': 'endpoint', 'unnest': ['latencies', 'latency'], 'measures': {
            'latency_p50_ms': {'value': 'percentile_cont(0.5) within group (order by latency)', 'adds_up': 'percentile'},
            'latency_p99_ms': {'value': 'percentile_cont(0.99) within group (order by latency)', 'adds_up': 'percentile'},
            'latency_p95_ms': {'value': 'percentile_cont(0.95) within group (order by latency)', 'adds_up': 'percentile'},
        }},
    ]) }}
{%- endmacro %}


{#
    The rows (bucket, metric, segment, value, numerator, denominator) of measures over buckets of time.

    Each model is read once for the whole and its segments together, and once more where money has to be filtered.

    periods     a CTE (bucket, starts_at, ends_at)
    measures    entries of `minute_measures`
#}
{% macro measure_rows(periods, measures) -%}
    {%- set selects = [] -%}
    {%- for entry in measures -%}
        {%- do selects.append(_measured(periods, entry, money_over_all=false)) -%}
        {%- if entry.measures.values() | selectattr('is_money', 'defined') | list -%}
            {%- do selects.append(_measured(periods, entry, money_over_all=true)) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ selects | join('\n    union all\n') }}
{%- endmacro %}


{% macro _measured(periods, entry, money_over_all) -%}
    {%- set time = 'occurred_at' if entry['from'].startswith('stg_') else 'minute' -%}
    {%- set dimension = entry.get('dimension') -%}
    {%- set names = [] -%}
    {%- for name, measure in entry.measures.items() if measure.get('is_money', false) or not money_over_all -%}
        {%- do names.append(name) -%}
    {%- endfor %}
    select bucket, metric, segment, value, numerator, denominator
    from (
        select
            periods.bucket,
            {% if dimension is none or money_over_all -%}
            'all'
            {%- else -%}
            case when grouping(coalesce({{ dimension }}, 'unknown')) = 1 then 'all'
                else '{{ dimension }}=' || coalesce({{ dimension }}, 'unknown') end
            {%- endif %} as segment
            {%- for name in names -%}
            {%- set measure = entry.measures[name] -%}
            {%- if measure.ratio %},
            ({{ measure.ratio[0] }})::numeric as {{ name }}__numerator,
            ({{ measure.ratio[1] }})::numeric as {{ name }}__denominator
            {%- elif measure.get('is_money', false) and not money_over_all %},
            case when grouping(coalesce({{ dimension }}, 'unknown')) = 0 then {{ measure.value }} end::numeric as {{ name }}
            {%- else %},
            ({{ measure.value }})::numeric as {{ name }}
            {%- endif -%}
            {%- endfor %}
        from {{ ref(entry['from']) }} as counted
        join {{ periods }} as periods
            on counted.{{ time }} >= periods.starts_at and counted.{{ time }} < periods.ends_at
        {%- if entry.unnest %}
        cross join lateral unnest(counted.{{ entry.unnest[0] }}) as unnested ({{ entry.unnest[1] }})
        {%- endif %}
        {%- if money_over_all %}
        where {{ dimension }} = (select currency from ops.tenant)
        {%- endif %}
        group by {% if dimension is none or money_over_all -%}
            periods.bucket
            {%- else -%}
            grouping sets ((periods.bucket), (periods.bucket, coalesce({{ dimension }}, 'unknown')))
            {%- endif %}
    ) as measured
    cross join lateral (
        values
            {%- for name in names -%}
            {%- if entry.measures[name].ratio %}
            ('{{ name }}', {{ name }}__numerator / nullif({{ name }}__denominator, 0), {{ name }}__numerator,
             {{ name }}__denominator){{ ',' if not loop.last }}
            {%- else %}
            ('{{ name }}', {{ name }}, null::numeric, null::numeric){{ ',' if not loop.last }}
            {%- endif -%}
            {%- endfor %}
    ) as metrics (metric, value, numerator, denominator)
    where value is not null
{%- endmacro %}
