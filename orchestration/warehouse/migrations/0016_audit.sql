-- Who read personal data, changed configuration or rights, exported or erased: rows are only ever added, each with the
-- hash of the one before it, so that a row changed or taken away later is found.
-- What a row's hash is made of: the hash before it, and the row itself.
create function ops.audit_hash(
    previous bytea, audit_id bigint, at timestamptz, actor text, action text, subject text, detail jsonb
) returns bytea
language sql immutable parallel safe
return sha256(
    coalesce(previous, '\x')
    || convert_to(
        jsonb_build_array(audit_id, extract(epoch from at)::text, actor, action, subject, detail)::text, 'UTF8'
    )
);

create function ops.chain_audit() returns trigger
language plpgsql
as $$
declare
    last ops.audit;
begin
    perform pg_advisory_xact_lock(hashtext('ops.audit'));  -- one after the other, until the writer commits
    select * into last from ops.audit order by audit_id desc limit 1;
    new.audit_id := coalesce(last.audit_id, 0) + 1;
    new.at := clock_timestamp();
    new.hash := ops.audit_hash(last.hash, new.audit_id, new.at, new.actor, new.action, new.subject, new.detail);
    return new;
end
$$;

create function ops.refuse_change() returns trigger
language plpgsql
as $$
begin
    raise exception '% is only ever added to', tg_table_name;
end
$$;

-- What was written before there was a chain becomes its beginning.
alter table ops.audit alter column audit_id drop identity, add column hash bytea;

do $$
declare
    entry ops.audit;
    previous bytea;
    place bigint := 0;
begin
    for entry in select * from ops.audit order by audit_id loop
        place := place + 1;
        previous := ops.audit_hash(previous, place, entry.at, entry.actor, entry.action, entry.subject, entry.detail);
        update ops.audit set audit_id = place, hash = previous where audit_id = entry.audit_id;
    end loop;
end
$$;

alter table ops.audit alter column hash set not null;

create trigger chained before insert on ops.audit for each row execute function ops.chain_audit();
create trigger append_only before update or delete on ops.audit for each row execute function ops.refuse_change();
create trigger never_emptied before truncate on ops.audit for each statement execute function ops.refuse_change();
