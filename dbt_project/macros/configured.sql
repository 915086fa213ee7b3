{# What is tracked for the funnels and experiments of the configuration: events of a kind, as
   (kind, name, step, condition, variant, value). #}
{% macro tracked() -%}
    {%- set rows = [] -%}
    {%- for name, funnel in var('funnels').items() -%}
        {%- for step in funnel.steps -%}
            {%- do rows.append(['funnel', name, loop.index | string, is_step(step), 'null', 'null']) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for name, experiment in var('experiments').items() -%}
        {%- do rows.append([
            'exposure', name, '',
            "events.event_type = 'experiment_viewed' and events.properties ->> 'experiment_id' = '" ~ name ~ "'",
            "events.properties ->> 'variant_id'", 'null']) -%}
        {%- for goal, step in experiment.goals.items() -%}
            {%- do rows.append([
                'goal', name, goal, is_step(step), 'null',
                "ops.number_of(events.properties -> '" ~ step.value ~ "')" if step.value else '1']) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(rows) }}
{%- endmacro %}

{# The types of events that `tracked` asks for. #}
{% macro tracked_types() -%}
    {%- set types = ['experiment_viewed'] -%}
    {%- for funnel in var('funnels').values() -%} {%- do types.extend(funnel.steps | map(attribute='event_type')) -%} {%- endfor -%}
    {%- for experiment in var('experiments').values() -%}
        {%- do types.extend(experiment.goals.values() | map(attribute='event_type')) -%}
    {%- endfor -%}
    {{ return(types | unique | list) }}
{%- endmacro %}

{% macro is_step(step) -%}
    {%- set conditions = ["events.event_type = '" ~ step.event_type ~ "'"] -%}
    {%- for name, value in step.get('where', {}).items() -%}
        {%- set text = (value | string | lower) if value is boolean else (value | string) -%}
        {%- do conditions.append("events.properties ->> '" ~ name ~ "' = '" ~ text | replace("'", "''") ~ "'") -%}
    {%- endfor -%}
    {{ return(conditions | join(' and ')) }}
{%- endmacro %}
