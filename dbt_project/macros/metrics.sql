{#
    The catalogue is dbt's semantic layer: measures stand with their semantic model, metrics beside them, both in the
    `_metrics.yml` of their system. These macros read it, so that adding a metric is one entry there.
#}

{# Every metric that is published: its name, what it says, and the measures that it is made of. A metric without a unit
   is only part of others. #}
{% macro catalogue() -%}
    {%- set metrics = [] -%}
    {%- set measured = measures_by_name() -%}
    {%- for metric in graph.get('metrics', {}).values() | sort(attribute='name') if metric.config.meta.unit -%}
        {%- set inputs = [metric] if metric.type == 'simple' else [
            graph.metrics['metric.tidemark.' ~ metric.type_params.numerator.name],
            graph.metrics['metric.tidemark.' ~ metric.type_params.denominator.name]] -%}
        {%- set measures = inputs | map(attribute='type_params.measure.name') | list -%}
        {%- set measure = measured[measures[0]] -%}
        {%- do metrics.append({
            'name': metric.name, 'description': metric.description, 'meta': metric.config.meta,
            'grain': measure.grain, 'segments': measure.segments, 'measures': measures,
            'percentile': measure.percentile, 'series': measure.series,
            'adds_up': 'ratio' if metric.type == 'ratio'
                else {'sum': 'sum', 'count_distinct': 'distinct', 'percentile': 'percentile'}[measure.agg]}) -%}
    {%- endfor -%}
    {{ return(metrics) }}
{%- endmacro %}

{# All measures, each with the model that it is over and the dimensions by which it is told. #}
{% macro all_measures() -%}
    {%- set measures = [] -%}
    {%- for semantic in graph.get('semantic_models', {}).values() | sort(attribute='name') -%}
        {%- for measure in semantic.measures -%}
            {%- do measures.append({
                'name': measure.name, 'agg': measure.agg, 'expr': measure.expr or measure.name,
                'percentile': measure.agg_params.percentile if measure.agg_params else none,
                'series': semantic.name ~ '.' ~ measure.expr if measure.agg == 'percentile' else measure.name,
                'is_money': measure.config.meta.unit == 'money',
                'model': semantic.model.split("'")[1],
                'grain': (semantic.dimensions | selectattr('type', 'eq', 'time') | first).type_params.time_granularity,
                'segments': semantic.dimensions | selectattr('type', 'eq', 'categorical') | map(attribute='name') | list,
            }) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(measures) }}
{%- endmacro %}

{% macro measures_by_name() -%}
    {%- set measured = {} -%}
    {%- for measure in all_measures() -%} {%- do measured.update({measure.name: measure}) -%} {%- endfor -%}
    {{ return(measured) }}
{%- endmacro %}

{# The segment of a row: all, or dimension=value. #}
{% macro segment(dimension) -%}
    {%- if dimension is none -%} 'all' {%- else -%} '{{ dimension }}=' || coalesce(measured.{{ dimension }}::text, 'unknown') {%- endif -%}
{%- endmacro %}

{# The rows (bucket, measure, segment, value) of all measures that are sums or distinct counts, over the touched hours.
   Each model is read once for each of its dimensions. Money is added up within a currency only: over all, it is the
   tenant's. #}
{% macro measured_hours() -%}
    {%- set measures = all_measures() | selectattr('agg', 'in', ['sum', 'count_distinct']) | list -%}
    {%- for group in measures | groupby('model') -%}
        {%- set outer = loop -%}
        {%- for dimension in [none] + group.list[0].segments %}
    {% if not (outer.first and loop.first) %}union all{% endif %}
    select figures.hour, values.measure, figures.segment, values.value
    from (
        select
            measured.hour,
            {{ segment(dimension) }} as segment
            {%- for measure in group.list %},
            {{ 'count(distinct ' if measure.agg == 'count_distinct' else 'sum(' }}{{ measure.expr }})
            {%- if measure.is_money and dimension is none %} filter (where currency = (select currency from ops.tenant)){% endif %} as {{ measure.name }}
            {%- endfor %}
        from {{ ref(group.grouper) }} as measured
        join touched on measured.hour = touched.hour
        group by 1, 2
    ) as figures
    cross join lateral (
        values
            {%- for measure in group.list %}
            ('{{ measure.name }}', {{ measure.name }}::numeric){{ ',' if not loop.last }}
            {%- endfor %}
    ) as values (measure, value)
    where values.value is not null
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}

{# For all measures of one kind: a SELECT of the columns for each of their segments, over the touched days, or in the case
   of percentiles over the events of the touched hours. Percentiles of the same values share a series. #}
{% macro series_rows(agg, columns) -%}
    {%- for measure in all_measures() | selectattr('agg', 'eq', agg) | unique(attribute='series') -%}
        {%- set outer = loop -%}
        {%- for dimension in ([] if agg == 'percentile' and measure.segments else [none]) + measure.segments %}
    {% if not (outer.first and loop.first) %}union all{% endif %}
    select '{{ measure.series }}' as measure, {{ segment(dimension) }} as segment, {{ columns | replace('@value', measure.expr) }}
    {%- if agg == 'percentile' %}
    from {{ in_touched_hours(ref(measure.model), 'measured') }}
    {%- else %}
    from {{ ref(measure.model) }} as measured
    join {{ source('ops', 'touched_days') }} as touched
        on measured.hour >= touched.starts_at and measured.hour < touched.ends_at
    {%- endif %}
    where {{ measure.expr }} is not null
    group by 1, 2, 3{{ ', 4' if agg == 'count_distinct' }}
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}

{# The figures of all metrics that are measures or ratios of them, from rows (measure, segment, …buckets, value). #}
{% macro figures(measures, buckets) -%}
    select
        metrics.metric,
        segment,
        {{ buckets }},
        case when metrics.denominator is null
            then numerators.value else numerators.value / nullif(denominators.value, 0)
        end as value
    from (
        values
        {%- for metric in catalogue() if metric.adds_up != 'percentile' %}
            ('{{ metric.name }}', '{{ metric.measures[0] }}',
             {{ "'" ~ metric.measures[1] ~ "'" if metric.measures | length > 1 else 'null' }}){{ ',' if not loop.last }}
        {%- endfor %}
    ) as metrics (metric, numerator, denominator)
    join {{ measures }} as numerators on numerators.measure = metrics.numerator
    left join (
        select measure as denominator, value, segment, {{ buckets }}
        from {{ measures }}
        where measure in ('{{ catalogue() | selectattr("adds_up", "eq", "ratio") | map(attribute="measures.1") | unique | join("', '") }}')
    ) as denominators
        using (denominator, segment, {{ buckets }})
{%- endmacro %}

{# The metrics that are percentiles, as rows (metric, measure, percentile). #}
{% macro percentiles() -%}
    (
        values
        {%- for metric in catalogue() if metric.adds_up == 'percentile' %}
            ('{{ metric.name }}', '{{ metric.series }}', {{ metric.percentile }}::double precision){{ ',' if not loop.last }}
        {%- endfor %}
    ) as percentiles (metric, measure, percentile)
{%- endmacro %}

{# Percentiles over `periods` (grain, start_date, end_date), equal to percentile_cont over all values. The `counts` of the
   buckets (grain, start_date, measure, segment, bucket, total) say in which ones the two neighbours of the rank are; only
   their values are read. #}
{% macro percentile_figures(periods, counts) -%}
    select
        metric, segment, grain, start_date,
        (low + (percentile * (total - 1) - low_place) * (high - low))::numeric as value
    from (
        select
            sought.*,
            neighbours.observed[(low_place - before)::integer + 1] as low,
            neighbours.observed[(high_place - before)::integer + 1] as high
        from (
            select
                metric, measure, segment, grain, start_date, end_date, percentile, total, low_place, high_place,
                min(before) as before, min(bucket) as first_bucket, max(bucket) as last_bucket
            from (
                select *, floor(percentile * (total - 1)) as low_place, ceil(percentile * (total - 1)) as high_place
                from (
                    select
                        *,
                        sum(count) over (series order by bucket) - count as before,
                        sum(count) over series as total
                    from (
                        select
                            periods.grain, periods.start_date, periods.end_date, counts.measure, counts.segment,
                            counts.bucket, counts.total as count
                        from {{ counts }} as counts
                        join {{ periods }} as periods
                            on counts.grain = periods.grain and counts.start_date = periods.start_date
                    ) as counted
                    window series as (partition by grain, start_date, measure, segment)
                ) as placed
                join {{ percentiles() }} using (measure)
            ) as ranked
            where before <= high_place and before + count > low_place
            group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
        ) as sought
        cross join lateral (
            select array_agg(unnested.value order by unnested.value) as observed
            from generate_series(sought.start_date::timestamp, sought.end_date - interval '1 day', interval '1 day') as days (day)
            join {{ ref('int_values_daily') }} as buckets
                on buckets.day = days.day::date -- each day by the key: before PostgreSQL 18, a range would be read whole
                and buckets.measure = sought.measure
                and buckets.segment = sought.segment
                and buckets.bucket between sought.first_bucket and sought.last_bucket
            cross join unnest(buckets.observed) as unnested (value)
        ) as neighbours
    ) as found
{%- endmacro %}

{# Whether what ends at `moment` is over, and every live source has passed it. The horizon is looked up once. #}
{% macro is_final(moment) -%}
    coalesce({{ moment }} <= (select ops.final_before(ops.build_setting('up_to'))), false)
{%- endmacro %}

{# Final figures that are about to change, written down with what changed them: the loads since the table's mark that
   touched their hour or period, an erasure before a replay before a late arrival; a changed definition where none did.
   A metric that left the catalogue is not restated. #}
{% macro restate(anew, up_to) -%}
    {%- set grain = config.get('grain') -%}
    {%- set bucket, source = {
        'hour': ('hour', 'hour'),
        'day': ('day', 'ops.day_of(hour, ops.timezone()) as day'),
        'period': ('grain, start_date',
                   'grain, date_trunc(grain, ops.day_of(hour, ops.timezone())::timestamp)::date as start_date'),
    }[grain] -%}
    with loads as (
        select load_id, case cause when 'arrival' then 'late' else cause end as cause
        from raw.loads
        where load_id <= {{ up_to }} and load_id > (
            select load_id from ops.tidemarks where table_name = '{{ this.schema }}.{{ this.identifier }}'
        )
    ),

    ranked as (
        select *, array_position(array['erasure', 'replay', 'late', 'contract', 'rebuild'], cause) as rank
        from loads
    ),

    touching as (
        select distinct on ({{ bucket }}) *
        from (
            select {{ source }}, ranked.*
            from raw.touched_hours
            join ranked using (load_id)
            {{ "cross join unnest(array['week', 'month', 'quarter']) as grains (grain)" if grain == 'period' }}
        ) as touched
        order by {{ bucket }}, rank, load_id desc
    ),

    otherwise as (
        {{ "select 'contract' as cause, " ~ up_to ~ "::bigint as load_id" if anew
           else 'select cause, load_id from ranked order by rank, load_id desc limit 1' }}
    )

    insert into marts.restatements
        (metric, segment, grain, {{ 'hour' if grain == 'hour' else 'day' }}, old_value, new_value, cause, load_id)
    select
        metric,
        segment,
        {{ 'grain' if grain == 'period' else "'" ~ grain ~ "'" }},
        {{ 'start_date' if grain == 'period' else grain }},
        published.value,
        fresh.value,
        coalesce(touching.cause, otherwise.cause),
        coalesce(touching.load_id, otherwise.load_id)
    from stale as published
    left join fresh using (metric, segment, {{ bucket }})
    left join touching using ({{ bucket }})
    cross join otherwise
    where published.is_final and fresh.value is distinct from published.value
      and metric in ('{{ catalogue() | map(attribute="name") | join("', '") }}')
{%- endmacro %}
