-- What the report's figures are made from, down to the sources: a gate that fails there holds the report. Below the long
-- series of metrics, only what its own metrics are counted in.
-- needs api.lineage
with recursive steps as (
    select distinct relation, made_from
    from api.lineage
    where kind = 'table'
),

above as (
    select relation
    from unnest(%(reads)s::text[]) as relation
    union
    select parent.relation
    from above
    join steps on above.relation = steps.relation
    cross join lateral string_to_table(steps.made_from, ', ') as parent (relation)
    where above.relation not in ('marts.metric_hourly', 'marts.metric_daily', 'marts.metric_period')
)

select relation
from above
union
select relation
from api.lineage
where kind = 'metric'
  and (
      %(is_of_all_metrics)s
      or figure = any(%(metrics)s)
      or figure = 'converted_revenue' and %(lead)s = 'revenue'  -- whose parts explain it
  )
union
select relation
from unnest(array['raw.events', 'marts.metric_hourly', 'marts.metric_daily', 'marts.metric_period']) as relation
