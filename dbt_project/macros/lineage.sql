{# Everything that nodes of the graph are made from, as entries (id, step): 1 is what was asked for, sources come last.
   What only says what to compute (the schema ops) is left out. #}
{% macro ancestry(ids) -%}
    {%- set steps, walk = {}, namespace(frontier=ids) -%}
    {%- for step in range(1, 100) if walk.frontier -%}
        {%- set parents = [] -%}
        {%- for id in walk.frontier -%}
            {%- do steps.update({id: step}) -%}
            {%- for parent in (graph.nodes[id].depends_on.nodes if id in graph.nodes else []) -%}
                {%- if parent in graph.nodes or graph.sources[parent].schema != 'ops' -%}
                    {%- do parents.append(parent) -%}
                {%- endif -%}
            {%- endfor -%}
        {%- endfor -%}
        {%- set walk.frontier = parents | unique | list -%}
    {%- endfor -%}
    {{ return(steps) }}
{%- endmacro %}

{# The rows (figure, kind, step, relation, description, made_from) of all metrics and of everything else that is
   published: each with what it is made from, down to the sources. #}
{% macro lineage_rows() -%}
    {%- set figures, measured = [], measures_by_name() -%}
    {%- for metric in catalogue() -%}
        {%- set models = [] -%}
        {%- for measure in metric.measures -%} {%- do models.append(measured[measure].model) -%} {%- endfor -%}
        {%- do figures.append([metric.name, 'metric', models | unique | list]) -%}
    {%- endfor -%}
    {%- for node in graph.nodes.values() | sort(attribute='name')
        if node.resource_type == 'model' and node.schema == 'api' and not node.name.startswith('api_metric_') -%}
        {%- do figures.append(['api.' ~ node.alias, 'table', [node.name]]) -%}
    {%- endfor -%}
    {%- for figure, kind, models in figures -%}
        {%- set first, ids = loop.first, [] -%}
        {%- for name in models -%} {%- do ids.append('model.tidemark.' ~ name) -%} {%- endfor -%}
        {%- for id, step in ancestry(ids).items() -%}
            {%- set node = graph.nodes.get(id) or graph.sources[id] -%}
            {%- set parents = [] -%}
            {%- for parent in (node.depends_on.nodes if id in graph.nodes else []) | unique -%}
                {%- set relation = graph.nodes.get(parent) or graph.sources[parent] -%}
                {%- if relation.schema != 'ops' -%}
                    {%- do parents.append(relation.schema ~ '.' ~ (relation.alias or relation.name)) -%}
                {%- endif -%}
            {%- endfor %}
    {{ '' if first and loop.first else ', ' }}('{{ figure }}', '{{ kind }}', {{ step }}, '{{ node.schema }}.{{ node.alias or node.name }}',
        $${{ (node.description or '') | trim }}$$, '{{ parents | sort | join(", ") }}')
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}
