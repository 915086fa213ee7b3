-- Content that is begun and not finished.
select content_id, starts, completions, drop_off_rate
from api.content
where starts >= 10
order by drop_off_rate desc, content_id
