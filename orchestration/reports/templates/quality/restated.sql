-- Final figures of the period that were changed later.
select
    restatements.metric, metrics.unit, restatements.segment, restatements.grain,
    coalesce(restatements.day, ops.day_of(restatements.hour, ops.timezone())) as day,
    restatements.old_value, restatements.new_value, restatements.cause, restatements.load_id
from api.restatements as restatements
join api.metrics as metrics on restatements.metric = metrics.metric
where coalesce(restatements.day, ops.day_of(restatements.hour, ops.timezone())) between %(first_day)s and %(last_day)s
order by restatements.restated_at desc, restatements.metric, restatements.segment, restatements.grain
