-- What readers may call, to the point; relations that analysts do not read; pseudonyms of sellers.

-- Readers use the schema ops for the functions that their views and policies call, and for those that say which day it is;
-- they call no other.
alter procedure ops.settle() rename to settle_owners;

create procedure ops.settle() language plpgsql as $$
begin
    call ops.settle_owners();
    revoke execute on all functions in schema ops, raw, ml from reader, analyst, auditor;
    grant execute on function
        ops.reader(), ops.sees_all(), ops.sees_system(text), ops.my_learners(), ops.my_metrics(boolean), ops.my_figures(text),
        ops.day_of(timestamptz, text), ops.hour_of(timestamptz, text), ops.timezone(), ops.number_of(jsonb), ops.normal_cdf(double precision),
        ops.score_level(numeric), ops.build_setting(text)
        to reader, analyst;
    grant execute on function ops.audit_hash(bytea, bigint, timestamptz, text, text, text, jsonb) to auditor;
end
$$;

-- Sellers may be sole traders: analysts see pseudonyms of them as of everybody.
create or replace function ops.name_people() returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    known bigint := (select coalesce(max(load_id), 0) from ops.pseudonyms);
    newest bigint := (select max(load_id) from ops.tidemarks where table_name = 'views.user_daily');
    named bigint := 0;
begin
    if newest > known and to_regclass('views.user_daily') is not null then
        insert into ops.pseudonyms (user_id, load_id)
        select distinct user_id, newest from views.user_daily
        where user_id is not null and (known = 0 or day in (
            select distinct ops.day_of(hour, ops.timezone()) from ops.changed_hours where load_id > known
        ))
        on conflict do nothing;
        get diagnostics named = row_count;
        if to_regclass('marts.sellers') is not null then  -- who may be people, too
            insert into ops.pseudonyms (user_id, load_id)
            select seller_id, newest from marts.sellers
            on conflict do nothing;
        end if;
    end if;
    return named;
end
$$;

-- An entry with `for_analysts` false is of what names people in words, where no pseudonym can stand; one with `invoker` true
-- of a view that is read with its reader's rights. The others are barriers, and become so again.
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
