-- Who of all people was active in the %(horizon_days)s days after each cut-off. This alone looks past it.
select cutoffs.cutoff, days.user_id
from (select unnest(%(cutoffs)s::date[]) as cutoff) as cutoffs
join api.user_daily as days
    on days.day > cutoffs.cutoff and days.day <= cutoffs.cutoff + %(horizon_days)s::integer
group by cutoffs.cutoff, days.user_id
