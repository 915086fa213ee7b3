-- What is kept count of is what counting gives.
{%- for name, kept in tallies().items() %}
{%- set rows = tally(kept.of) if kept.of in tallies() else ref(kept.of) %}
{{ 'union all' if not loop.first }}
select '{{ name }}' as tally, to_jsonb(differing) as kind
from (
    (select * from {{ tally(name) }} except all ({{ context[name](rows) }}))
    union all
    (({{ context[name](rows) }}) except all select * from {{ tally(name) }})
) as differing
{%- endfor %}
