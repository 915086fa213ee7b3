{# The present, as a subquery of one row and column (moment): the end of the newest complete hour that was published. #}
{% macro as_of() -%}
    (select moment from {{ ref('views_as_of') }})
{%- endmacro %}
