-- Who bought from each seller in the ninety newest complete days.
select distinct seller_id, buyer_id
from marts.transactions
where seller_id is not null and buyer_id is not null
    and created_day > (select max(day) - 90 from api.metric_daily where is_final and segment = 'all')
order by 1, 2
