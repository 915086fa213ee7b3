"""Readers: the access list of `config/access.yml` in the database, sessions with a reader's rights, and what each role
may. Which rows a scope shows is said in the dbt project (macros/access.sql), what stages may in migration 0025."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.warehouse import audit, database

STAGES = ("loader", "transformer", "ml", "report", "eraser", "dagster")
READING = ("reader", "analyst", "auditor", "reidentifier")
_SCHEMAS = ("raw", "staging", "intermediate", "marts", "views", "api", "analysis", "ml", "ops")
_SHOWN = ("api", "analysis")  # what readers see rows of


@contextmanager
def reader(login: str | None, snapshot: str) -> Iterator[psycopg.Connection]:
    """A read-only connection that sees an exported snapshot with exactly the rights of a login of `config/access.yml`;
    without one, with those of the stage `report`. The login is to be admitted before the snapshot is taken, which would
    not see what `admit` changes.
    """
    with database.connect(login or "report") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(snapshot)))
        yield connection


def admit(login: str) -> None:
    """Apply `config/access.yml`; raise TidemarkError when a login is not in it, or its time is over."""
    with database.connect() as connection:
        apply(connection)
        if not connection.execute(
            "select exists (select from ops.access_list where login = %s and coalesce(until > now(), true))", [login]
        ).fetchone()[0]:
            raise TidemarkError(
                f"{login!r} reads nothing now: give it an entry in {_place()}, with a scope and a day not yet past."
            )


def login_of(address: str) -> str | None:
    """The login of the reader who gets reports at a mail address; None for whom the list does not know."""
    return next((one.login for one in settings.access().readers.values() if address in one.mail), None)


def apply(connection: psycopg.Connection) -> dict[str, list[str]]:
    """Bring the access list and the roles of logins to what `config/access.yml` says, in the caller's transaction.

    Returns which logins were granted, changed and revoked; what changed is in the audit. Raises TidemarkError when the
    session's own login may not make roles.
    """
    zone = settings.tenant().zone
    readers = {one.login: one for one in settings.access().readers.values()}
    wanted = {
        login: (one.role, sorted((*entry, one.ends_at(zone)) for entry in one.entries()))
        for login, one in readers.items()
    }
    listed = _listed(connection)
    done = {
        "granted": sorted(wanted.keys() - listed.keys()),
        "changed": sorted(login for login in wanted.keys() & listed.keys() if wanted[login] != listed[login]),
        "revoked": sorted(listed.keys() - wanted.keys()),
    }
    try:
        for login in [*done["granted"], *done["changed"]]:
            _grant(connection, login, *wanted[login])
            audit.record(connection, "grant", login, role=wanted[login][0], scopes=_sayable(wanted[login][1]))
        for login in done["revoked"]:
            _revoke(connection, login)
            audit.record(connection, "revoke", login)
    except psycopg.errors.InsufficientPrivilege as error:
        raise TidemarkError(
            f"The login {connection.info.user} may not make the roles of {_place()} ({error.diag.message_primary}): "
            f'have an administrator run `alter role "{connection.info.user}" createrole`.'
        ) from error
    return done


def _place() -> str:
    return str(settings.settings().config / "access.yml")


def _listed(connection: psycopg.Connection) -> dict[str, tuple[str, list[tuple]]]:
    """The logins that are members of a reading role here, each with that role and its entries."""
    listed = {
        login: (role, [])
        for login, role in connection.execute(
            """select member.rolname, granted.rolname
               from pg_auth_members
               join pg_roles as member on member.oid = pg_auth_members.member
               join pg_roles as granted on granted.oid = pg_auth_members.roleid
               where granted.rolname = any(%s) and member.rolname in (select login from ops.logins)""",
            [list(READING)],
        )
    }
    query = "select login, scope, item, until from ops.access_list order by login, scope, item"
    for login, *entry in connection.execute(query):
        listed.setdefault(login, ("", []))[1].append(tuple(entry))
    return listed


def _grant(connection: psycopg.Connection, login: str, role: str, entries: list[tuple]) -> None:
    known = connection.execute(
        "select rolsuper or rolbypassrls or pg_has_role(oid, 'pipeline', 'member') from pg_roles where rolname = %s",
        [login],
    ).fetchone()
    if known and known[0]:
        raise TidemarkError(f"{login} is a role of the database that sees everything: give the reader another login.")
    name = sql.Identifier(login)
    if not known:
        connection.execute(sql.SQL("create role {} login").format(name))
    if not connection.execute("select rolsuper from pg_roles where rolname = session_user").fetchone()[0]:
        connection.execute(sql.SQL("grant {} to session_user").format(name))  # so that it can be put on
    _leave(connection, name)
    connection.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), name))
    connection.execute("insert into ops.logins (login) values (%s) on conflict do nothing", [login])
    connection.execute("delete from ops.access_list where login = %s", [login])
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.access_list (login, scope, item, until) values (%s, %s, %s, %s)",
            [(login, *entry) for entry in entries],
        )


def _revoke(connection: psycopg.Connection, login: str) -> None:
    if connection.execute("select to_regrole(quote_ident(%s))", [login]).fetchone()[0]:
        _leave(connection, sql.Identifier(login))
    connection.execute("delete from ops.access_list where login = %s", [login])
    connection.execute("delete from ops.logins where login = %s", [login])


def _leave(connection: psycopg.Connection, login: sql.Identifier) -> None:
    roles = sql.SQL(", ").join(map(sql.Identifier, READING))
    connection.execute(sql.SQL("revoke {} from {}").format(roles, login))


def _sayable(entries: list[tuple]) -> dict[str, int | str]:
    """What may be told of entries in the audit: how many of which scope, since an item may name a person."""
    scopes = [scope for scope, *_ in entries]
    return {scope: scopes.count(scope) for scope in dict.fromkeys(scopes)}


def person_behind(pseudonym: str, reason: str) -> str:
    """The user_id behind a pseudonym. The question is committed to the audit before the answer is asked for.

    Raises TidemarkError when nobody is behind it.
    """
    with database.connect("reidentifier", autocommit=True) as connection:
        connection.execute("select ops.ask_who(%s, %s, %s)", [pseudonym, reason, getpass.getuser()])
        found = connection.execute("select ops.person_behind(%s)", [pseudonym]).fetchone()[0]
    if found is None:
        raise TidemarkError(
            f"Nobody is behind {pseudonym}: a pseudonym is pn_ and 20 digits; or the person was erased."
        )
    return found


@dataclass(frozen=True)
class Right:
    """What a role may do with a relation. `rows`: how many of it are shown to the role; None where it reads none."""

    role: str
    relation: str
    reads: bool
    writes: bool
    rows: int | None


def check(connection: psycopg.Connection) -> list[Right]:
    """The matrix of roles and relations: stages, reading roles and the logins of the access list.

    Rows are counted of what readers see: as each login, by its own rights.
    """
    roles = [*STAGES, *READING, *(login for (login,) in connection.execute("select login from ops.logins order by 1"))]
    rights = connection.execute(
        """select role, nspname || '.' || relname, nspname = any(%s) and has_schema_privilege(role, nspname, 'usage'),
               has_table_privilege(role, pg_class.oid, 'select'),
               has_table_privilege(role, pg_class.oid, 'insert, update, delete, truncate')
           from unnest(%s::text[]) as role
           cross join pg_class
           join pg_namespace on pg_namespace.oid = relnamespace
           where nspname = any(%s) and relkind in ('r', 'p', 'v', 'm') and not relispartition
           order by role, nspname, relname""",
        [list(_SHOWN), roles, list(_SCHEMAS)],
    ).fetchall()
    return [
        Right(role, relation, reads, writes, _rows(connection, role, relation) if is_shown and reads else None)
        for role, relation, is_shown, reads, writes in rights
    ]


def _rows(connection: psycopg.Connection, role: str, relation: str) -> int:
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        count = sql.SQL("select count(*) from {}").format(sql.Identifier(*relation.split(".")))
        return connection.execute(count).fetchone()[0]


def faults(connection: psycopg.Connection) -> list[str]:
    """A sentence for each thing that is not as it should be, whoever did it; none: each sees their own."""
    found = []
    query = """
        select 'PUBLIC may ' || privilege_type || ' ' || name
        from (
            select 'database ' || datname as name, datacl as acl, 'd' as kind, datdba as owner
            from pg_database where datname = current_database()
            union all
            select 'schema ' || nspname, nspacl, 'n', nspowner from pg_namespace where nspname = any(%(schemas)s)
            union all
            select oid::regclass::text, relacl, 'r', relowner from pg_class
            where relnamespace::regnamespace::text = any(%(schemas)s)
            union all
            select oid::regprocedure::text, proacl, 'f', proowner from pg_proc
            where pronamespace::regnamespace::text = any(%(schemas)s)
        ) as objects
        cross join lateral aclexplode(coalesce(acl, acldefault(kind::"char", owner)))
        where grantee = 0
        union all
        select rolname || ' owns what Tidemark stores, and may log in' from pg_roles
        where rolname = any(%(roles)s) and rolcanlogin
          and oid in (select relowner from pg_class where relnamespace::regnamespace::text = any(%(schemas)s))
        union all
        select login || ' sees everything: it is a superuser, or member of a stage' from ops.logins
        join pg_roles on rolname = login
        where rolsuper or rolbypassrls or pg_has_role(oid, 'pipeline', 'member') or pg_has_role(oid, 'report', 'member')
        union all
        select pg_class.oid::regclass || ' may be read by ' || grantee::regrole || ': it is a materialized view'
        from pg_class cross join lateral aclexplode(relacl)
        where relkind = 'm' and relnamespace::regnamespace::text = any(%(schemas)s) and grantee <> relowner
        union all
        select pg_class.oid::regclass || ' may be read by ' || grantee::regrole || ', and has no row-level security'
        from pg_class cross join lateral aclexplode(relacl)
        where relkind in ('r', 'p') and relnamespace::regnamespace::text = any(%(schemas)s) and not relrowsecurity
          and relnamespace <> 'ops'::regnamespace and (grantee in ('reader'::regrole, 'analyst'::regrole)
              or grantee in (select rolname::regrole from pg_roles where rolname in (select login from ops.logins)))
        union all
        select pg_class.oid::regclass || ' runs with its owner''s rights and is no barrier'
        from pg_class cross join lateral aclexplode(relacl)
        where relkind = 'v' and relnamespace::regnamespace::text = any(%(schemas)s)
          and grantee in ('reader'::regrole, 'analyst'::regrole)
          and not coalesce(reloptions && array['security_invoker=true', 'security_barrier=true'], false)
          and relnamespace <> 'ops'::regnamespace
        union all
        select oid::regclass || ' forces row-level security on its owner, whose refreshes would be emptied'
        from pg_class where relforcerowsecurity and relnamespace::regnamespace::text = any(%(schemas)s)
        union all
        select polrelid::regclass || ' has a policy (' || polname || ') that reads a setting, which a session can set'
        from pg_policy where pg_get_expr(polqual, polrelid) ~ 'current_setting'"""
    parameters = {"schemas": [*_SCHEMAS, "public"], "roles": [*STAGES, "warehouse"]}
    found += [sentence for (sentence,) in connection.execute(query, parameters)]
    return sorted(found)
