-- Which lessons people who agree to be learned from completed.
select user_id, lesson_id as item_id, 1.0::double precision as weight, max(occurred_at) as at
from marts.lessons
join (
    select (max(day) + 1)::timestamp at time zone ops.timezone() as ends_at
    from api.metric_daily
    where is_final and segment = 'all'
) as newest on occurred_at < newest.ends_at
where user_id is not null and lesson_id is not null
    and user_id not in (select user_id from ops.without_consent where purpose = 'models' and until is null)
group by 1, 2
order by 1, 2
