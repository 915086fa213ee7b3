-- Whoever takes a step took the one before; new customers are among the day's, and all of them come to all customers.
select day, 'steps' as fault from {{ ref('shop_daily') }}
where adders > viewers or checking_out > adders or viewers_who_ordered > checking_out or viewers_who_ordered > customers
union all
select day, 'newcomers' from {{ ref('views_shop_daily') }}
where new_customers > customers or new_customers + repeat_customers <> customers
union all
select null, 'customers'
where (select sum(new_customers) from {{ ref('views_shop_daily') }})
      is distinct from nullif((select count(*) from {{ ref('customers') }} where orders > 0), 0)
