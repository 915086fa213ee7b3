{# The rows of a staging model that are of some types of events, to be read with `in_touched_hours`: that reads each hour by
   itself, so a condition beside it would come after all rows were typed and judged. #}
{% macro of_types(relation, types) -%}
    (select * from {{ relation }} where event_type in ('{{ types | join("', '") }}')) as typed
{%- endmacro %}
