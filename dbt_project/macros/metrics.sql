{#
    The rows of the long series, (metric, segment, bucket, value), for every metric of the catalogue.

    Each model that metrics add up is read once per segment, over the touched hours or days, and its metrics come out
    side by side before they are turned into rows.
#}
{% macro metric_rows(grain) -%}
    {%- set models = {} -%}
    {%- for name, metric in var('metrics').items() -%}
        {%- do models.setdefault(metric['from'], {}).update({name: metric}) -%}
    {%- endfor -%}
    {%- for model, metrics in models.items() -%}
        {%- set dimensions = [] -%}
        {%- for metric in metrics.values() -%}
            {%- for dimension in metric.get('segments', []) if dimension not in dimensions -%}
                {%- do dimensions.append(dimension) -%}
            {%- endfor -%}
        {%- endfor -%}
        {%- set outer = loop -%}
        {%- for dimension in [none] + dimensions %}
    {% if not (outer.first and loop.first) %}union all{% endif %}
    select metric, segment, bucket, value::numeric as value
    from (
        select
            touched.bucket,
            {{ "'all'" if dimension is none else "'" ~ dimension ~ "=' || coalesce(rows." ~ dimension ~ "::text, 'unknown')" }} as segment
            {%- for name, metric in metrics.items() if dimension is none or dimension in metric.get('segments', []) %},
            {{ metric.value }}
            {%- if dimension is none and metric.all_where %} filter (where {{ metric.all_where }}){% endif %} as {{ name }}
            {%- endfor %}
        from {{ ref(model) }} as rows
        join touched
            on rows.{{ 'occurred_at' if model.startswith('stg_') else 'hour' }} >= touched.starts_at
            and rows.{{ 'occurred_at' if model.startswith('stg_') else 'hour' }} < touched.ends_at
            {%- if grain == 'hour' %}
            and rows.hour = touched.bucket
            {%- endif %}
        group by 1, 2
    ) as measured
    cross join lateral (
        values
            {%- for name, metric in metrics.items() if dimension is none or dimension in metric.get('segments', []) %}
            ('{{ name }}', {{ name }}::numeric){{ ',' if not loop.last }}
            {%- endfor %}
    ) as metrics (metric, value)
    where value is not null
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}

{# Whether what ends at `moment` is over, and every live source has passed it. The horizon is looked up once. #}
{% macro is_final(moment) -%}
    coalesce({{ moment }} <= (select ops.final_before(ops.build_setting('up_to'))), false)
{%- endmacro %}
