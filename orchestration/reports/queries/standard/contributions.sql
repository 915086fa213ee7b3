-- Which part of the first metric's change came from where: of each dimension the segment that changed most. Only what
-- adds up has parts.
with parts as (
    select
        split_part(summary.segment, '=', 1) as dimension,
        substr(summary.segment, strpos(summary.segment, '=') + 1) as name,
        summary.value,
        coalesce(summary.previous_value, 0) as previous_value,
        summary.value - coalesce(summary.previous_value, 0) as difference,
        whole.value - whole.previous_value as whole_difference,
        whole.previous_value as whole_previous
    from api.period_summary as summary
    join api.period_summary as whole
        on whole.metric = summary.metric
        and whole.grain = summary.grain
        and whole.start_date = summary.start_date
        and whole.segment = 'all'
    -- revenue itself has parts by currency only
    where summary.metric = case %(lead)s when 'revenue' then 'converted_revenue' else %(lead)s end
      and summary.grain = %(grain)s
      and summary.start_date = %(first_day)s
      and summary.segment like '%%=%%'
      and summary.segment not like 'currency=%%'
)

select
    parts.dimension,
    parts.name,
    metrics.unit,
    parts.value,
    parts.previous_value,
    parts.difference,
    parts.difference / parts.whole_difference as part_rate
from parts
join api.metrics as metrics on metrics.metric = %(lead)s
where metrics.adds_up = 'sum'
  and abs(parts.whole_difference) >= 0.02 * parts.whole_previous
  and parts.whole_difference <> 0
  and parts.difference / parts.whole_difference >= 0.2
order by parts.difference / parts.whole_difference desc, parts.dimension, parts.name
limit 1
