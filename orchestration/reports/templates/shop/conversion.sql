-- From view to order, on the last day of the period that had viewers.
select day, viewers, view_to_cart_rate, cart_to_order_rate, view_to_order_rate
from api.shop_daily
where day between %(first_day)s and %(last_day)s and viewers > 0
order by day desc
limit 1
