-- A message that was put off must not go out in its receiver's quiet hours either.

alter table ops.outbox
    add column quiet_hours jsonb not null default '[]'; -- spans of the clock in which it waits: from, to and timezone

-- Whether any of these spans holds a moment. One that ends before it begins spans midnight.
create function ops.is_quiet(quiet_hours jsonb, moment timestamptz) returns boolean language sql stable as $$
    select exists (
        select
        from jsonb_to_recordset(quiet_hours) as span ("from" time, "to" time, timezone text)
        cross join lateral (select (moment at time zone span.timezone)::time as clock) as local
        where case
            when span."from" <= span."to" then clock >= span."from" and clock < span."to"
            else clock >= span."from" or clock < span."to"
        end
    )
$$;
