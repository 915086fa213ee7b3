-- Ordered steps without repeats: what somebody did several times in a row is one step.
create function ops.collapsed(steps text[]) returns text[]
    language sql immutable parallel safe
    return (
        select array_agg(step order by position)
        from (
            select step, position, lag(step) over (order by position) as previous
            from unnest(steps) with ordinality as numbered (step, position)
        ) as spaced
        where step is distinct from previous
    );
