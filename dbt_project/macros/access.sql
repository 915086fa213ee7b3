{#
    Who sees which rows of what is published: the whole of it on this page. An entry that names no scope is for the readers
    of everything (scope `all` in config/access.yml). What has no entry is shown to the stages alone.

    Each entry says by which scopes rows are seen. A scope names a column, whose value has to be among the reader's items:
        self     a user_id: the reader's own rows
        classes  a user_id: rows of those who learn in the reader's classes
        class    a class_id of the reader's
        shops    a seller_id of the reader's
        rooms    a room_id of the reader's
    or what is told of many people, to those who work on a system:
        metric   the name of a metric of the reader's systems; with `open`, where at least five people stand behind each
                 part of the figure: then whatever is shown is made of parts that may be shown, and no difference between
                 figures leaves fewer people
        machine  the same, of metrics of machines only, behind which stand no people
        systems  the name of a system, and in `enough` the columns that count people: none of them counts one to four
    or anyone: true.

    people   the columns that name people, or sellers, who may be: analysts see pseudonyms in them
    for_analysts  false where texts may name people
    invoker  its rows follow from the same person's rows alone, in tables: so it is read with the reader's own rights over
             tables with row-level security. Anything else compares people, or is made of materialized views or of such
             a view, and is filtered after it was computed
#}
{% macro access_rules() -%}
    {%- set counts = {
        'active_users': ['active_users', 'new_users', 'returning_users', 'resurrected_users', 'dormant_users'],
        'retention': ['users', 'cohort_users', 'cohort_users - users'],
        'shop_daily': ['viewers', 'adders', 'checking_out', 'customers', 'new_customers', 'repeat_customers'],
    } -%}
    {{ return({
        'learners': {'self': 'user_id', 'classes': 'user_id', 'people': ['user_id'], 'invoker': true},
        'learner_measures': {'self': 'user_id', 'classes': 'user_id', 'people': ['user_id'], 'invoker': true},
        'learner_insights': {'self': 'user_id', 'classes': 'user_id', 'people': ['user_id']},
        'learner_recommendations': {'self': 'user_id', 'classes': 'user_id', 'people': ['user_id'], 'invoker': true},
        'learning_daily': {'self': 'user_id', 'class': 'class_id'},
        'learning_periods': {
            'self': "case when scope = 'learner' then name end", 'classes': "case when scope = 'learner' then name end",
            'class': "case when scope = 'class' then name end", 'people': ['name']},
        'leaderboard': {'self': 'user_id', 'classes': 'user_id', 'people': ['user_id']},
        'user_daily': {'self': 'user_id', 'people': ['user_id'], 'invoker': true},
        'churn_scores': {'self': 'user_id', 'classes': 'user_id', 'people': ['user_id']},
        'user_preferences': {'self': 'user_id'},
        'preferences': {
            'self': "case when scope = 'user' then name end", 'rooms': "case when scope = 'room' then name end",
            'people': ['name']},
        'rooms': {'self': 'host', 'rooms': 'room_id', 'people': ['host']},
        'room_members': {'self': 'user_id', 'rooms': 'room_id'},
        'room_users': {'self': 'user_id', 'people': ['user_id']},
        'customers': {'self': 'user_id', 'people': ['user_id']},
        'buyers': {'people': ['user_id']},
        'sellers': {'shops': 'seller_id', 'people': ['seller_id']},
        'transaction_faults': {'shops': 'seller_id', 'people': ['seller_id']},
        'recommendations': {
            'self': 'user_id', 'rooms': "case when kind = 'room_content' then subject_id end",
            'people': ['subject_id', 'user_id']},
        'room_scores': {'rooms': 'room_id'},
        'unusual_behaviour': {'people': ['entity_id']},
        'without_consent': {'self': 'user_id', 'classes': 'user_id', 'people': ['user_id']},

        'metric_hourly': {'metric': 'metric', 'open': 'hour', 'invoker': true},
        'metric_daily': {'metric': 'metric', 'open': 'day', 'invoker': true},
        'metric_period': {'metric': 'metric', 'open': 'period', 'invoker': true},
        'period_summary': {'metric': 'metric', 'invoker': true},
        'executive_summary': {'metric': 'metric', 'open': 'summary'},
        'anomalies': {'metric': 'metric', 'open': 'moment'},
        'forecasts': {'metric': "split_part(series_id, '|', 1)"},
        'forecast_scores': {'machine': "split_part(series_id, '|', 1)"},
        'metric_minutes': {'machine': 'metric'},
        'windows': {'machine': 'metric'},
        'restatements': {'machine': 'metric'},
        'incidents': {'machine': 'metric', 'for_analysts': false},
        'active_users': {'systems': 'engagement', 'enough': counts.active_users},
        'retention': {'systems': 'engagement', 'enough': counts.retention},
        'funnels': {'systems': 'engagement', 'enough': ['users', 'entries']},
        'experiments': {'systems': 'engagement', 'enough': ['users', 'mixed_users', 'converted_users', 'users - converted_users']},
        'journeys': {'systems': 'engagement', 'enough': ['users']},
        'shop_daily': {'systems': 'shop', 'enough': counts.shop_daily},
        'price_history': {'systems': 'shop'},
        'system_status': {'systems': 'system'},
        'capacity': {'systems': 'system'},

        'content': {}, 'content_momentum': {}, 'top_content': {}, 'content_gaps': {'for_analysts': false},
        'products': {}, 'opportunities': {}, 'basket_companions': {}, 'price_recommendations': {},
        'experiment_results': {}, 'model_performance': {}, 'drift': {}, 'reconciliation': {}, 'held_values': {},
        'gate_results': {'for_analysts': false}, 'loads': {'for_analysts': false}, 'quarantine': {},
        'personal_data_access': {'for_analysts': false},

        'as_of': {'anyone': true}, 'metrics': {'anyone': true}, 'lineage': {'anyone': true},
        'days': {'anyone': true}, 'freshness': {'anyone': true}, 'models': {'anyone': true},
    }) }}
{%- endmacro %}

{# The condition of the rows that readers see of a relation, of which `rule` is the entry. #}
{% macro seen(rule) -%}
    {%- if rule.anyone -%} {{ return('true') }} {%- endif -%}
    {%- set ways = ['(select ops.sees_all())'] -%}
    {%- set mine = '(select item from ops.my_access where scope = ' -%}
    {%- for scope, listed in [('self', 'self'), ('class', 'classes'), ('shops', 'shops'), ('rooms', 'rooms')] if rule[scope] -%}
        {%- do ways.append(rule[scope] ~ ' in ' ~ mine ~ "'" ~ listed ~ "')") -%}
    {%- endfor -%}
    {%- if rule.classes -%}
        {%- do ways.append(rule.classes ~ ' in (select ops.my_learners())') -%}
    {%- endif -%}
    {%- if rule.metric or rule.machine -%}
        {%- set only_machines = 'true' if rule.machine or rule.open else 'false' -%}
        {%- do ways.append((rule.machine or rule.metric) ~ ' in (select ops.my_metrics(' ~ only_machines ~ '))') -%}
    {%- endif -%}
    {%- if rule.open -%}
        {%- do ways.append('(' ~ rule.metric ~ ", split_part(segment, '=', 1), " ~ {
            'hour': "'hour', ops.day_of(hour, ops.timezone())", 'moment': "'hour', ops.day_of(ds, ops.timezone())",
            'day': "'day', day", 'period': 'grain, start_date',
            'summary': "'summary', as_of_day"}[rule.open] ~ ") in (select * from ops.my_figures('" ~ {'moment': 'hour'}.get(rule.open, rule.open) ~ "'))") -%}
    {%- endif -%}
    {%- if rule.systems -%}
        {%- set counted = [] -%}
        {%- for column in rule.enough or [] -%} {%- do counted.append(' and coalesce(' ~ column ~ ', 0) not between 1 and 4') -%} {%- endfor -%}
        {%- do ways.append("(select ops.sees_system('" ~ rule.systems ~ "'))" ~ counted | join('')) -%}
    {%- endif -%}
    {{ return('(' ~ ways | join(' or ') ~ ')') }}
{%- endmacro %}

{# The text of a view of `api`: the model's own SELECT, its rows filtered unless the tables below do it, and names of
   people and owners not as columns but as expressions, and their rows behind a fence (`offset 0`): so that no index, no
   statistics and no condition of the reader's is asked before the filter, and no plan tells of people who are not theirs.

   What is read with the reader's own rights is for readers of everything, or else it is looked up person by person, of
   those whom the reader may see: what the reader asks for is then asked of that list, and of no table. #}
{% macro shown(sql, alias) -%}
    {%- set rule = access_rules().get(alias, {}) -%}
    {%- set by_person = rule.invoker and rule.self -%}
    {%- set all_rows = [] -%}
    {%- set own_rows = [] -%}
    {%- for column in get_column_schema_from_query(sql) -%}
        {%- set plain = 'known.' ~ column.quoted -%}
        {%- set named = 'known.' ~ column.name ~ "::text || '' as " ~ column.name -%}
        {%- if by_person and column.name == rule.self -%}
            {%- do all_rows.append(name_as_expression(plain) ~ ' as ' ~ column.name) -%}
            {%- do own_rows.append('mine.person as ' ~ column.name) -%}
        {%- else -%}
            {%- set is_name = column.name in (rule.people or []) + ['seller_id', 'room_id', 'class_id'] -%}
            {%- do all_rows.append(named if is_name else plain) -%}
            {%- do own_rows.append(named if is_name else plain) -%}
        {%- endif -%}
    {%- endfor -%}
    select {{ all_rows | join(', ') }} from ({{ sql }}) as known
    {%- if not by_person %} {{ wall(rule) }}
    {%- else %} where (select ops.sees_all())
    union all
    select {{ own_rows | join(', ') }}
    from ({{ my_people(rule) }}) as mine (person)
    cross join lateral (select * from ({{ sql }}) as theirs where theirs.{{ rule.self }} = mine.person offset 0) as known
    {%- endif -%}
{%- endmacro %}

{# The people whom a reader may see who does not see everything. #}
{% macro my_people(rule) -%}
    select (array[item])[1] from ops.my_access where scope = 'self' and not (select ops.sees_all())
    {%- if rule.classes %} union select ops.my_learners() where not (select ops.sees_all()) {%- endif %}
{%- endmacro %}

{# A name as an expression: it has no statistics, and is leakproof, as `||` is not, so that it may be looked up. #}
{% macro name_as_expression(name) -%} (array[{{ name }}])[1] {%- endmacro %}

{# The index by which `api` finds people in a table: without statistics, which plans would tell. #}
{% macro index_names(target) -%}
    {%- set rule = access_rules().get(target.identifier, {}) -%}
    {%- if target.schema == 'views' and rule.invoker and rule.self -%}
        create index if not exists {{ target.identifier }}_by_name
            on {{ target }} (({{ name_as_expression(rule.self) }}));
        alter index {{ target.schema }}.{{ target.identifier }}_by_name alter column 1 set statistics 0
    {%- endif -%}
{%- endmacro %}

{# What stands between a view's rows and its readers; it is part of the view's definition. #}
{% macro wall(rule) -%}
    {%- if not rule.invoker %} where {{ seen(rule) }} {%- endif -%}
    {%- if not rule.invoker and (rule.people or rule.shops) %} offset 0 {%- endif -%}
{%- endmacro %}

{# How a view is made: with its reader's rights, or as a wall; below what is published, as any other. #}
{% macro view_options(alias, schema) -%}
    {%- if schema not in ('views', 'api') -%} {{ return('') }} {%- endif -%}
    {{ return('with (' ~ ('security_invoker' if schema == 'api' and access_rules().get(alias, {}).invoker else 'security_barrier') ~ ')') }}
{%- endmacro %}

{# Who stands behind which metrics: `who` in the rows of a model of hours that `when` names, by its dimensions. Of money,
   the whole is what is in the tenant's currency. A metric that is not here is shown to readers of everything only. #}
{% macro people_behind() -%}
    {{ return([
        {'model': 'int_user_hours', 'metrics': ['active_users', 'events']},
        {'model': 'sessions', 'metrics': ['sessions', 'average_session_seconds', 'actions_per_session']},
        {'model': 'int_content_uses', 'by': ['category'], 'when': 'uses > 0', 'metrics': ['content_views', 'content_starts']},
        {'model': 'int_content_uses', 'by': ['category'], 'when': 'completions > 0',
         'metrics': ['content_completions', 'content_seconds']},
        {'model': 'int_content_uses', 'by': ['category'], 'when': 'ratings > 0', 'metrics': ['average_rating']},
        {'model': 'lessons', 'by': ['skill'], 'metrics': ['lessons_completed', 'learning_seconds']},
        {'model': 'lessons', 'by': ['skill'], 'when': 'score is not null', 'metrics': ['average_score']},
        {'model': 'int_room_events', 'by': ['category'], 'when': "event_type = 'room_created'", 'metrics': ['rooms_created']},
        {'model': 'int_room_events', 'by': ['category'], 'when': "event_type = 'room_matched'", 'metrics': ['rooms_matched']},
        {'model': 'int_room_events', 'by': ['category'], 'when': "event_type = 'vote_cast'", 'metrics': ['votes_cast']},
        {'model': 'int_order_hours', 'by': ['currency'], 'when': 'is_order', 'metrics': [
            'orders', 'units', 'revenue', 'gross_revenue', 'average_order_value', 'net_revenue', 'taxes']},
        {'model': 'int_order_hours', 'by': ['currency'], 'when': 'refunds <> 0', 'metrics': ['refunds']},
        {'model': 'int_order_hours', 'by': ['currency'], 'when': 'discounts <> 0', 'metrics': ['discounts']},
        {'model': 'int_order_line_hours', 'by': ['country', 'category'], 'when': 'sold_units > 0',
         'metrics': ['converted_revenue', 'sold_units']},
        {'model': 'int_order_line_hours', 'by': ['country', 'category'], 'when': 'returned_units > 0', 'metrics': ['returned_units']},
        {'model': 'int_transaction_hours', 'who': 'buyer_id', 'by': ['currency'], 'when': 'created > 0',
         'metrics': ['transactions', 'transaction_volume', 'fees']},
        {'model': 'int_transaction_hours', 'who': 'buyer_id', 'by': ['currency'], 'when': 'settled > 0',
         'metrics': ['settled_transactions', 'settled_volume']},
        {'model': 'int_transaction_hours', 'who': 'buyer_id', 'by': ['currency'], 'when': 'failed > 0',
         'metrics': ['failed_transactions', 'failure_rate']},
    ]) }}
{%- endmacro %}

{# Bring grants and policies to what this page says. It costs one query when they are. #}
{% macro grant_all() -%}
    {%- set rules = {} -%}
    {%- if execute -%}
        {%- for alias, rule in access_rules().items() -%}
            {%- set told = {'people': rule.people} if rule.people else {} -%}
            {%- if rule.invoker -%} {%- do told.update({'invoker': true}) -%} {%- endif -%}
            {%- if rule.for_analysts is defined -%} {%- do told.update({'for_analysts': false}) -%} {%- endif -%}
            {%- do rules.update({'api.' ~ alias: told}) -%}
            {%- do rules.update({'views.' ~ alias: {'seen': seen(rule)}}) -%}
        {%- endfor -%}
    {%- endif %}
    select ops.grant_all($rules${{ tojson(rules) }}$rules$::jsonb), ops.name_people()
{%- endmacro %}
