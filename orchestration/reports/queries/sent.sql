-- Figures that this reader was sent and that are others now, with what changed them last.
with sent as (
    select metric, grain, start_date, value
    from jsonb_to_recordset(%(sent)s::text::jsonb) as sent (metric text, grain text, start_date date, value numeric)
)

select
    sent.metric,
    metrics.unit,
    sent.grain,
    sent.start_date,
    sent.value as was,
    summary.value,
    coalesce(restated.cause, 'late') as cause,
    coalesce(restated.load_id, summary.load_id) as load_id
from sent
join api.metrics as metrics on sent.metric = metrics.metric
join api.period_summary as summary
    on sent.metric = summary.metric
    and sent.grain = summary.grain
    and sent.start_date = summary.start_date
    and summary.segment = 'all'
left join lateral (
    select restatements.cause, restatements.load_id
    from api.restatements as restatements
    where restatements.metric = sent.metric
      and restatements.segment = 'all'
      and restatements.grain = sent.grain
      and restatements.day = sent.start_date
    order by restatements.restated_at desc
    limit 1
) as restated on true
where summary.value is distinct from sent.value
order by sent.start_date desc, sent.metric
