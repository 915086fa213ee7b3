-- As before, but each table is locked before its grants change: an autovacuum of the table, which waits for the new grants
-- to be committed, and this, which would wait for the autovacuum, were a deadlock.
create or replace function ops.grant_all(rules jsonb) returns bigint language plpgsql as $$
declare
    one record;
    changed bigint := 0;
begin
    perform pg_advisory_xact_lock(hashtext('ops.grant_all'));  -- one build after the other
    for one in
        with relations as (
            select
                pg_class.oid, pg_class.oid::regclass as name, nspname, relname, relkind, relrowsecurity,
                relforcerowsecurity, reloptions,
                nspname || '.' || relname as key, rules -> (nspname || '.' || relname) as rule,
                exists (
                    select from pg_attribute
                    where attrelid = pg_class.oid and not attisdropped
                      and attname in ('user_id', 'buyer_id', 'host', 'seller_id', 'room_id', 'class_id', 'entity')
                ) as has_person_or_owner
            from pg_class
            join pg_namespace on pg_namespace.oid = relnamespace
            where nspname in ('staging', 'intermediate', 'marts', 'views', 'api') and relkind in ('r', 'v', 'm')
        ),

        wanted as (
            select
                relations.*,
                relkind <> 'm' as for_pipeline,
                relkind <> 'm' and rule is not null as for_readers,
                relkind <> 'm' and rule is not null and rule -> 'people' is null
                    and coalesce((rule ->> 'for_analysts')::boolean, true) as for_analysts,
                relkind = 'r' and (has_person_or_owner or rule ->> 'seen' is not null) as guarded,
                'readers_' || md5(rule ->> 'seen') as policy,
                case when relkind = 'v' and nspname = 'api' then case when (rule ->> 'invoker')::boolean
                    then 'security_invoker' else 'security_barrier' end end as safety
            from relations
        )

        select * from wanted
        where for_pipeline is distinct from has_table_privilege('pipeline', oid, 'select')
           or for_readers is distinct from has_table_privilege('reader', oid, 'select')
           or for_analysts is distinct from has_table_privilege('analyst', oid, 'select')
           or guarded is distinct from relrowsecurity
           or safety is not null and not coalesce(reloptions @> array[safety || '=true'], false)
           or relforcerowsecurity  -- the owner refreshes with it: what reads it would be emptied without an error
           or guarded and not exists (select from pg_policy where polrelid = wanted.oid and polname = 'stages')
           or exists (
               select from pg_policy where polrelid = wanted.oid and polname <> 'stages' and polname is distinct from policy)
           or guarded and policy is not null
              and not exists (select from pg_policy where polrelid = wanted.oid and polname = policy)
           or rule ->> 'people' is not null and nspname = 'api' and to_regclass('analysis.' || quote_ident(relname)) is null
    loop
        changed := changed + 1;
        if one.relkind = 'r' then
            execute format('lock table %s in access exclusive mode', one.name);
        end if;
        execute format('revoke all on %s from public, pipeline, reader, analyst', one.name);
        if one.for_pipeline then
            execute format('grant select on %s to pipeline', one.name);
        end if;
        if one.for_readers then
            execute format('grant select on %s to reader', one.name);
        end if;
        if one.for_analysts then
            execute format('grant select on %s to analyst', one.name);
        end if;
        if one.safety is not null then
            execute format('alter view %s set (%I = true)', one.name, one.safety);
        end if;
        if one.relkind = 'r' then
            perform ops.guard(one.oid, one.guarded, one.policy, one.rule ->> 'seen');
        end if;
        if one.rule ->> 'people' is not null and one.nspname = 'api' then
            perform ops.make_pseudonymous(one.oid, array(select jsonb_array_elements_text(one.rule -> 'people')));
        end if;
    end loop;
    return changed;
end
$$;

call ops.settle();
