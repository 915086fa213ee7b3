-- Who may do what: a role for each stage, and a list of readers with what each of them sees.
--
-- warehouse     owns the schemas and tables of migrations, and is nobody's role while Tidemark runs
-- loader        owns raw.events, writes raw
-- transformer   owns what dbt builds, judges it at the gates
-- ml            writes models, forecasts, anomalies and scores
-- report        tells people: alerts, reports, exports, outbox; stands for the reader to whom it tells
-- eraser        lets go: retention and erasure; the only one that changes what others wrote
-- auditor       reads the audit and the access list, nothing else
-- reidentifier  reads ops.pseudonyms, the way back from a pseudonym to a person
-- dagster       owns the tables of Dagster's own database, and looks at how things stand
-- pipeline      what these have in common: they see all rows
-- reader        people and services that see what the access list grants their login
-- analyst       sees all rows, with pseudonyms in place of people
--
-- Roles belong to a server, so another warehouse on it may have made them.
do $$
declare
    name text;
begin
    foreach name in array array[
        'warehouse', 'loader', 'transformer', 'ml', 'report', 'eraser', 'auditor', 'reidentifier', 'dagster',
        'pipeline', 'reader', 'analyst'
    ] loop
        if to_regrole(name) is null then
            begin
                execute format('create role %I nologin', name);
            exception when duplicate_object or unique_violation then
                null;  -- another process was first
            end;
        end if;
        if not pg_has_role(session_user, name, 'member')
                or current_setting('server_version_num')::integer >= 160000 and not pg_has_role(session_user, name, 'set') then
            execute format('grant %I to %I', name, session_user);
        end if;
    end loop;
    grant pipeline to transformer, ml, report, eraser, dagster;
    grant loader to eraser;
end
$$;

-- The access list ------------------------------------------------------------------------------------------------

-- The logins of config/access.yml.
create table ops.logins (
    login name primary key
);

-- What they see, from the same file. A reader sees a row for any of their entries.
create table ops.access_list (
    login name not null,
    scope text not null check (scope in ('self', 'classes', 'shops', 'rooms', 'systems', 'all')),
    item text not null default '',       -- a user_id, class_id, seller_id, room_id or system; '' for all
    until timestamptz,                   -- from when on it counts no more
    primary key (login, scope, item)
);

-- Who reads: the login of the session, which nobody can set. Only a session of Tidemark itself, whose login may be
-- `report`, is the role that it has put on, as it may: it tells readers things with their rights, never with its own.
create function ops.reader() returns name language sql stable parallel safe
    return case
        when pg_has_role(session_user, 'report', 'member') and current_setting('role') <> 'none'
            then current_setting('role')::name
        else session_user
    end;

create view ops.my_access with (security_barrier) as
select scope, item from ops.access_list where login = ops.reader() and (until is null or until > now());

-- Whether all rows are shown: to the stages themselves, and to readers of everything.
create function ops.sees_all() returns boolean language sql stable parallel safe
    return pg_has_role(ops.reader(), 'pipeline', 'usage') or exists (select from ops.my_access where scope = 'all');

create function ops.sees_system(system text) returns boolean language sql stable parallel safe
    return ops.sees_all() or exists (select from ops.my_access where scope = 'systems' and item = system);

-- What follows is answered from tables that dbt makes, to readers who may not read them: bodies that are looked at when
-- they run, with the rights of their owner.
set local check_function_bodies = off;

-- Those who took a lesson in one of the reader's classes.
create function ops.my_learners() returns setof text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select distinct user_id from views.learning_daily
    where class_id in (select item from ops.my_access where scope = 'classes')
$$;

-- The metrics of the reader's systems; only those of machines, which are no totals over people.
create function ops.my_metrics(only_machines boolean) returns setof text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select metric from api.metrics
    where system in (select item from ops.my_access where scope = 'systems') and (system = 'system' or not only_machines)
$$;

-- The figures of the reader's systems that are told of at least five people in each of their parts: of a day, its hours,
-- or a week, month or quarter (from start_date on) with all its days; `summary`: of the 14 days up to the newest.
create function ops.my_figures(part text)
returns table (metric text, dimension text, grain text, start_date date)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select people.metric, people.dimension, periods.grain, periods.start_date
    from marts.metric_people as people
    cross join lateral (
        select part as grain, people.day as start_date where part in ('hour', 'day')
        union all
        select name, date_trunc(name, people.day::timestamp)::date from unnest(array['week', 'month', 'quarter']) as name
        where part = 'period'
        union all
        select part, newest.day
        from (select max(day) as day from views.metric_daily where is_final) as newest
        where part = 'summary' and people.day > newest.day - 14 and people.day <= newest.day
    ) as periods
    where people.metric in (select ops.my_metrics(false))
    group by 1, 2, 3, 4
    having min(case part when 'hour' then people.fewest_hour else people.fewest_day end) >= 5
$$;

set local check_function_bodies = on;

-- Pseudonyms -----------------------------------------------------------------------------------------------------

-- The way back from a pseudonym to a person. Drawn by lot, so that nobody computes one.
create table ops.pseudonyms (
    user_id text primary key,
    pseudonym text not null unique default 'pn_' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 20),
    load_id bigint not null              -- up to which people were looked for when this one was found
);
create index on ops.pseudonyms (load_id);

-- Give a pseudonym to everybody who was seen since. Returns how many they were.
create function ops.name_people() returns bigint
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
    end if;
    return named;
end
$$;

-- To find the person behind a pseudonym, ask first, and commit: the question is in the audit before there is an answer.
-- `asker` is believed of Tidemark's own sessions only, where it is who runs the command.
create function ops.ask_who(sought text, reason text, asker text default null) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if coalesce(trim(reason), '') = '' then
        raise exception 'say why you ask: the audit keeps it';
    end if;
    insert into ops.audit (actor, action, subject, detail)
    values (
        case when pg_has_role(session_user, 'report', 'member') then coalesce(asker, session_user) else session_user end,
        'reidentify', sought,
        jsonb_build_object('reason', reason, 'personal', array['user_id'], 'rows', 1,
                           'session', session_user, 'transaction', pg_current_xact_id()::text)
    );
end
$$;

create function ops.person_behind(sought text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if not exists (
        select from ops.audit
        where action = 'reidentify' and subject = sought and detail ->> 'session' = session_user
          and at > clock_timestamp() - interval '5 minutes'
          and detail ->> 'transaction' <> pg_current_xact_id()::text  -- one that may yet be rolled back
    ) then
        raise exception 'ask first, with ops.ask_who, and commit';
    end if;
    return (select user_id from ops.pseudonyms where pseudonym = sought);
end
$$;

alter function ops.chain_audit() security definer set search_path = pg_catalog, pg_temp;

-- Owners and grants ----------------------------------------------------------------------------------------------

create schema analysis;  -- `api` as analysts see it

-- Give everything that migrations made its owner, take from PUBLIC what PostgreSQL gives it, and grant each stage what it
-- needs. Run after every migration; what a later one adds in `ops` is written by all stages, unless it is named here.
create procedure ops.settle() language plpgsql as $$
declare
    one record;
begin
    for one in
        select nspname as name, case when nspname in ('raw', 'ops', 'ml') then 'warehouse' else 'transformer' end as owner
        from pg_namespace
        where nspname in ('raw', 'ops', 'ml', 'staging', 'intermediate', 'marts', 'views', 'api', 'analysis')
          and nspowner <> case when nspname in ('raw', 'ops', 'ml') then 'warehouse' else 'transformer' end::regrole
    loop
        execute format('alter schema %I owner to %I', one.name, one.owner);
    end loop;
    grant create on schema raw to loader;

    for one in
        select pg_class.oid::regclass as name, relkind, owner
        from pg_class
        join pg_namespace on pg_namespace.oid = relnamespace
        cross join lateral (
            select case
                when nspname in ('staging', 'intermediate', 'marts', 'views', 'api', 'analysis') then 'transformer'
                when nspname = 'raw' and relname ~ '^events(_|$)' then 'loader'
                else 'warehouse'
            end as owner
        ) as owners
        where nspname in ('raw', 'ops', 'ml', 'staging', 'intermediate', 'marts', 'views', 'api', 'analysis')
          and relkind in ('r', 'p', 'v', 'm', 'S') and relowner <> owner::regrole
          and not exists (  -- a sequence that belongs to a column goes with its table
              select from pg_depend
              where classid = 'pg_class'::regclass and objid = pg_class.oid and relkind = 'S' and deptype in ('a', 'i'))
    loop
        execute format('alter %s %s owner to %I',
                       case one.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
                            else 'table' end, one.name, one.owner);
    end loop;
    for one in
        select oid::regprocedure as name from pg_proc
        where pronamespace in ('ops'::regnamespace, 'raw'::regnamespace, 'ml'::regnamespace) and proowner <> 'warehouse'::regrole
    loop
        execute format('alter routine %s owner to warehouse', one.name);
    end loop;

    revoke all on all routines in schema ops, raw, ml from public;
    revoke all on schema public from public;
    begin
        execute format('revoke all on database %I from public', current_database());
        execute format('grant connect, temporary on database %I to pipeline, loader, warehouse', current_database());
        execute format('grant connect on database %I to reader, analyst, auditor, reidentifier', current_database());
    exception when insufficient_privilege then
        null;  -- the owner of the database is another: `access check` says what PUBLIC still may
    end;

    grant usage on schema raw, ops, ml to pipeline, loader;
    grant usage on schema staging, intermediate, marts, views, api to pipeline, warehouse;
    grant usage on schema api to reader, analyst, auditor;
    grant usage on schema analysis to analyst, pipeline;
    grant usage on schema ops to reader, analyst, auditor, reidentifier;
    grant usage on all sequences in schema raw, ops, ml to pipeline, loader;
    grant pipeline to warehouse;

    -- what the login makes there by hand, the stages read; what dbt makes, `ops.grant_all` sees to
    alter default privileges in schema staging, intermediate, marts, views, api grant select on tables to pipeline;

    grant select on all tables in schema raw, ops, ml to pipeline, loader;
    grant insert, update, delete on all tables in schema raw to loader;
    grant delete on raw.touched_minutes to transformer;
    grant insert, update, delete on all tables in schema ml to ml, eraser;
    grant insert, update, delete on all tables in schema ops to eraser;
    for one in
        select pg_class.oid::regclass as name, coalesce(writers, 'loader, transformer, ml, report, dagster') as writers
        from pg_class
        left join (
            values
            ('tenant', 'loader, transformer'), ('reporting_limits', 'loader, transformer'),
            ('sources', 'loader'), ('source_failures', 'loader'),
            ('expired_days', 'eraser'),
            ('tidemarks', 'transformer, ml'), ('definitions', 'transformer'), ('ripples', 'transformer'),
            ('changed_entities', 'transformer'), ('layers', 'transformer'), ('gate_results', 'transformer'),
            ('held_minutes', 'transformer'), ('load_stamps', 'transformer'),
            ('refreshes', 'loader, transformer, ml, report'),
            ('outbox', 'report'), ('stopped_channels', 'report'), ('alert_marks', 'report'), ('incidents', 'report'),
            ('incident_history', 'report'), ('incident_messages', 'report'), ('silences', 'report'),
            ('migrations', 'warehouse'), ('time_zones', 'warehouse'), ('audit', 'warehouse'),
            ('access_list', 'warehouse'), ('logins', 'warehouse'), ('pseudonyms', 'warehouse')
        ) as known (relation, writers) on relname = relation
        where relnamespace = 'ops'::regnamespace and relkind in ('r', 'p')
    loop
        execute format('grant insert, update, delete on %s to %s', one.name, one.writers);
    end loop;

    -- what is written by all and read by few
    revoke all on ops.audit, ops.access_list, ops.pseudonyms from pipeline, loader, eraser;
    grant insert, select (audit_id) on ops.audit to pipeline, loader;
    grant select on ops.audit to auditor, eraser, transformer;
    grant select on ops.access_list, ops.logins to auditor, report;
    grant select on ops.pseudonyms to transformer;
    grant select, delete on ops.pseudonyms to eraser;

    grant execute on all functions in schema ops, raw, ml to pipeline, loader, reader, analyst, auditor;
    revoke execute on function ops.name_people(), ops.ask_who(text, text, text), ops.person_behind(text)
        from pipeline, loader, reader, analyst, auditor;
    grant execute on function ops.name_people() to transformer;
    grant execute on function ops.ask_who(text, text, text), ops.person_behind(text) to reidentifier;
    grant select on ops.my_access, ops.tenant, ops.held_hours, ops.tidemarks to reader, analyst;
end
$$;

-- What a build leaves: grants and policies of what dbt made ------------------------------------------------------------

-- `rules` has an entry for each relation that readers may see anything of, by its name: `seen`, the condition of the rows
-- that they see, or null where the view itself says it; `people`, the columns of `api` that name people. Nothing that
-- stands as it should is touched. Run by the owner, after every build.
create function ops.grant_all(rules jsonb) returns bigint language plpgsql as $$
declare
    one record;
    changed bigint := 0;
begin
    perform pg_advisory_xact_lock(hashtext('ops.grant_all'));  -- one build after the other
    for one in
        with relations as (
            select
                pg_class.oid, pg_class.oid::regclass as name, nspname, relname, relkind, relrowsecurity,
                relforcerowsecurity,
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
                relkind <> 'm' and rule is not null and rule -> 'people' is null as for_analysts,
                relkind = 'r' and (has_person_or_owner or rule ->> 'seen' is not null) as guarded,
                'readers_' || md5(rule ->> 'seen') as policy
            from relations
        )

        select * from wanted
        where for_pipeline is distinct from has_table_privilege('pipeline', oid, 'select')
           or for_readers is distinct from has_table_privilege('reader', oid, 'select')
           or for_analysts is distinct from has_table_privilege('analyst', oid, 'select')
           or guarded is distinct from relrowsecurity
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

create function ops.guard(relation regclass, is_guarded boolean, policy text, condition text) returns void
language plpgsql as $$
declare
    old record;
begin
    for old in select polname from pg_policy where polrelid = relation loop
        execute format('drop policy %I on %s', old.polname, relation);
    end loop;
    execute format('alter table %s no force row level security, %s row level security',
                   relation, case when is_guarded then 'enable' else 'disable' end);
    if is_guarded then
        execute format('create policy stages on %s for select to pipeline using (true)', relation);
        if condition is not null then
            begin
                execute format('create policy %I on %s for select to reader, analyst using (%s)', policy, relation, condition);
            exception when undefined_table then
                null;  -- what it asks is not built yet: until then, readers see nothing
            end;
        end if;
    end if;
end
$$;

-- The view of the same name for analysts. Who has no pseudonym yet has no name there.
create function ops.make_pseudonymous(relation regclass, people text[]) returns void language plpgsql as $$
declare
    columns text;
    name text := (select relname from pg_class where oid = relation);
begin
    select string_agg(
        case when attname = any(people) then format(
            '(select pseudonym from ops.pseudonyms where pseudonyms.user_id = known.%1$I) as %1$I', attname)
        else format('known.%I', attname) end, ', ' order by attnum)
    into columns
    from pg_attribute
    where attrelid = relation and attnum > 0 and not attisdropped;
    execute format('drop view if exists analysis.%I', name);
    execute format('create view analysis.%I with (security_barrier) as select %s from %s as known', name, columns, relation);
    execute format('grant select on analysis.%I to analyst, pipeline', name);
end
$$;

call ops.settle();
