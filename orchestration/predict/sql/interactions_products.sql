-- Which products people who agree to be learned from ordered, and did not send back all of.
select user_id, product_id as item_id, 1.0::double precision as weight, max(hour) as at
from intermediate.int_order_line_hours
join (
    select (max(day) + 1)::timestamp at time zone ops.timezone() as ends_at
    from api.metric_daily
    where is_final and segment = 'all'
) as newest on hour < newest.ends_at
where user_id is not null and product_id <> 'unknown'
    and user_id not in (select user_id from ops.without_consent where purpose = 'models' and until is null)
group by 1, 2
having sum(sold_units) > sum(returned_units)
order by 1, 2
