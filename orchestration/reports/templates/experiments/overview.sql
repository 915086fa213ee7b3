-- How many experiments run, and on how many people.
select
    count(distinct experiment) as experiments,
    coalesce(sum(users), 0) as users,
    coalesce(sum(mixed_users), 0) as mixed_users
from (
    select distinct on (experiment, variant) experiment, variant, users, mixed_users
    from api.experiments
    order by experiment, variant, users desc
) as arms
