-- What the facts about learners and rooms are computed with.

-- The time zones that events may name; a query with any other name would fail.
create table ops.time_zones (
    name text primary key
);
insert into ops.time_zones
select name from pg_timezone_names
where name !~ '^(posix|right)/' and name not in ('posixrules', 'localtime', 'Factory');

create function ops.known_zone(zone text) returns text language sql stable parallel safe
    return (select name from ops.time_zones where name = zone);

-- The share of a normal distribution below z, to 1e-7: Abramowitz and Stegun, Handbook of Mathematical Functions (1964),
-- 26.2.17. PostgreSQL has erf only from 16 on.
create function ops.normal_cdf(z double precision) returns double precision
    language sql immutable strict parallel safe
    return (
        select case when z >= 0 then 1 - tail else tail end
        from (
            select exp(-x * x / 2) / sqrt(2 * pi()) * t * (
                0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429)))
            ) as tail
            from (select x, 1 / (1 + 0.2316419 * x) as t from (select least(abs(z), 37) as x) as bounded) as terms
        ) as tails
    );

create function ops.score_level(score numeric) returns text language sql immutable parallel safe
    return case when score >= 90 then 'excellent' when score >= 75 then 'good' when score >= 60 then 'fair'
                when score is not null then 'poor' end;
