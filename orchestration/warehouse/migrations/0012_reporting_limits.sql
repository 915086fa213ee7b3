-- From config/tenant.yml: above which amount a transaction has to be reported, and how near below it is looked at.
create table ops.reporting_limits (
    currency text primary key,
    amount numeric not null check (amount > 0),
    near_rate numeric not null check (near_rate between 0 and 1)
);
