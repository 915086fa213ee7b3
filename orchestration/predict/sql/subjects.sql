-- Who was active in the 28 newest complete days, and agrees to models.
select user_id
from api.user_daily
where day > (select max(day) - 28 from api.metric_daily where is_final and segment = 'all')
    and day <= (select max(day) from api.metric_daily where is_final and segment = 'all')
    and user_id not in (select user_id from ops.without_consent where purpose = 'models' and until is null)
group by 1
order by 1
