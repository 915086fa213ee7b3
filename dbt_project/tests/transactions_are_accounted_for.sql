-- What came in is what went out, is pending, or is told as unaccounted, to the cent; where all is said to be well, nothing
-- is unaccounted; and the transactions of days and of hours come to the same money.
with faults as (
    select transaction_id as what, unaccounted_amount as amount
    from {{ ref('transactions') }}
    where amount <> settled_amount + failed_amount + pending_amount + unaccounted_amount
       or is_reconciled and unaccounted_amount <> 0
),

days as (
    select sum(created_amount) as created, sum(settled_amount) as settled, sum(failed_amount) as failed
    from {{ ref('views_reconciliation') }}
),

hours as (
    select sum(volume) as created, sum(settled_volume) as settled, sum(failed_volume) as failed
    from {{ ref('marketplace_hourly') }}
)

select what, amount from faults
union all
select 'days and hours differ', days.created - hours.created
from days
cross join hours
where (days.created, days.settled, days.failed) is distinct from (hours.created, hours.settled, hours.failed)
