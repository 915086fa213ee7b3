-- Converting a time to a zone takes microseconds, and every staging row has an hour. In nearly all zones the hours begin
-- at the same minute of UTC for ever, so cutting the time into hours from one of these beginnings gives the same.
alter table ops.tenant add hour_origin timestamptz;  -- null where clocks are ever set by part of an hour

create function ops.hour_origin(zone text) returns timestamptz language sql stable
    return (
        select case when count(distinct beginning) = 1 then min(beginning) end
        from (
            select timestamptz '1990-01-01 00:00Z' + (hour - date_trunc('hour', hour, 'UTC')) as beginning
            from generate_series(timestamptz '1990-01-01 00:00Z', now() + interval '1 year', interval '1 day') as moment
            cross join lateral (select ops.hour_of(moment, zone) as hour) as hours
        ) as beginnings
    );

create function ops.keep_hour_origin() returns trigger language plpgsql as $$
begin
    new.hour_origin := ops.hour_origin(new.timezone);
    return new;
end
$$;

create trigger keep_hour_origin before insert or update of timezone on ops.tenant
    for each row execute function ops.keep_hour_origin();

update ops.tenant set timezone = timezone;

-- Days of a quarter as bits: one row of an entity says on which days of all its weeks and months it was there.
create function ops.day_bit(day date) returns bit(92) language sql immutable parallel safe
    return set_bit(0::bit(92), day - date_trunc('quarter', day::timestamp)::date, 1);

create view ops.touched_quarters as
select
    date_trunc('quarter', day::timestamp)::date as quarter,
    bit_or(ops.day_bit(day)) as days
from ops.touched_days
group by 1;

-- Buckets narrow enough that few values of a quarter lie in the one that holds a percentile: forty to a factor of e.
create or replace function ops.bucket_of(value double precision, per_e integer) returns integer
    language sql immutable parallel safe
    return case
        when value > 0 then floor(per_e * ln(value))
        when value = 0 then -1000000
        else -2000000 - floor(per_e * ln(-value))
    end::integer;

-- What these take the place of.
drop view ops.touched_months;
drop function ops.bucket_of(double precision);
drop table if exists intermediate.int_entities_monthly;
delete from ops.tidemarks where table_name = 'intermediate.int_entities_monthly';
delete from ops.definitions where relation = 'intermediate.int_entities_monthly';
