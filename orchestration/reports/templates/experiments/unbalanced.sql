-- Variants that far more, or fewer, people saw than were meant to: beyond three standard deviations.
select distinct on (experiment, variant) experiment, variant, users, expected_users
from api.experiments
where abs(users - expected_users) > 3 * sqrt(expected_users * (1 - expected_rate))
order by experiment, variant, users desc
