"""Connections to the warehouse, brought up to the newest migration when a process first asks. No stage's SQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from orchestration.errors import TidemarkError
from orchestration.settings import settings, tenant
from orchestration.warehouse import server

MIGRATIONS = Path(__file__).parent / "migrations"
WAREHOUSE, DAGSTER = "tidemark", "dagster"
_MIGRATION_LOCK = 7_461_001


def url(role: str | None = None) -> str:
    """The warehouse's URL, for sessions that are `role` from their beginning, or else the login of the URL.

    Starts the embedded server when none is configured; creates and migrates the database.
    """
    target = _ready_warehouse(_given_url(), settings().home.resolve())
    return with_role(target, role) if role else target


def with_role(target: str, role: str) -> str:
    """A URL whose sessions put on a role: `reset role` gives it back to them, not what their login may."""
    parts = urlsplit(target)
    query = "&".join(filter(None, [parts.query, f"options=-c%20role%3D{quote(role)}"]))
    return f"postgresql://{parts.netloc}{parts.path}?{query}"


def _given_url() -> str | None:
    """`TIDEMARK_DATABASE_URL`. What is wrong with it is said without it: it holds a password."""
    given = settings().database_url
    try:
        if given and not (given.startswith(("postgresql://", "postgres://")) and conninfo_to_dict(given)):
            raise psycopg.ProgrammingError
    except psycopg.ProgrammingError:
        raise TidemarkError(
            "TIDEMARK_DATABASE_URL is not the URL of a PostgreSQL: write postgresql://user:password@host:5432/name, "
            "with %40 for an @ in the password, or unset it to use the embedded one."
        ) from None
    return given and given.replace("postgres://", "postgresql://", 1)


def name() -> str:
    """The name of the warehouse's database, known without connecting."""
    given = _given_url()
    return conninfo_to_dict(given).get("dbname", "postgres") if given else WAREHOUSE


@cache
def _ready_warehouse(given: str | None, home: Path) -> str:
    warehouse = given or _database(server.start(home / "postgres"), WAREHOUSE)
    if not given:
        create(warehouse)
    migrate(warehouse)
    return warehouse


def forget() -> None:
    """Make the next connection start and migrate again: for supervisors after the server died, and for tests."""
    _ready_warehouse.cache_clear()


def dagster_url() -> str:
    """The URL of Dagster's own database, in the same server, in the form that its psycopg2 driver needs."""
    target = _database(url(), DAGSTER)
    create(target)
    _hand_over(target)
    return with_role(target, "dagster").replace("postgresql://", "postgresql+psycopg2://", 1)


def _hand_over(target: str) -> None:
    """Let the role `dagster`, and no other, make tables in Dagster's database; those that are there become its own."""
    with _connect(target) as connection:
        if connection.execute("select has_schema_privilege('dagster', 'public', 'create')").fetchone()[0]:
            return
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("revoke all on database {} from public").format(name))
        connection.execute(sql.SQL("grant connect, temporary on database {} to dagster").format(name))
        connection.execute("revoke all on schema public from public; grant usage, create on schema public to dagster")
        query = "select oid::regclass::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
        for (table,) in connection.execute(query).fetchall():
            connection.execute(f"alter table {table} owner to dagster")


def sibling(name: str) -> str | None:
    """The URL of another database of the warehouse's server; None where there is no such one."""
    with _connect(url()) as connection:
        is_there = connection.execute("select from pg_database where datname = %s", [name]).fetchone()
    return _database(url(), name) if is_there else None


def _database(base: str, name: str) -> str:
    """The same server's URL with another database."""
    parts = urlsplit(base)
    query = f"?{parts.query}" if parts.query else ""
    return f"postgresql://{parts.netloc}/{name}{query}"


def parameters(target: str | None = None) -> dict[str, str]:
    """host, port, user, password, dbname and sslmode of a URL, for programs that take them one by one."""
    known = conninfo_to_dict(target or url())
    defaults = {"host": "localhost", "port": "5432", "user": "postgres", "password": "", "dbname": "postgres"}
    defaults |= {"sslmode": "prefer", "sslrootcert": ""}
    return {key: str(known.get(key) or value) for key, value in defaults.items()}


def _connect(target: str, **options) -> psycopg.Connection:
    # Compiling a query over hundreds of partitions takes longer than running it.
    session = f"{conninfo_to_dict(target).get('options', '')} -c timezone=UTC -c jit=off".strip()
    try:
        return psycopg.connect(make_conninfo(target, options=session, connect_timeout=10), **options)
    except psycopg.OperationalError as error:
        where = {key: value for key, value in conninfo_to_dict(target).items() if key in ("host", "port", "dbname")}
        place = " ".join(f"{key}={value}" for key, value in where.items())
        reason = str(error).strip().splitlines()[-1].strip()
        raise TidemarkError(
            f"The database at {place} cannot be reached ({reason}): start it, correct TIDEMARK_DATABASE_URL, "
            f"or unset it to use the embedded one."
        ) from error


def create(target: str) -> None:
    """Create the database that `target` names, unless it exists."""
    name = parameters(target)["dbname"]
    with _connect(_database(target, "postgres"), autocommit=True) as connection:
        if connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
            return
        try:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            pass  # another process was first
        except psycopg.errors.InsufficientPrivilege as error:
            raise TidemarkError(
                f"The database {name} does not exist and may not be created: create it once."
            ) from error


def migrate(target: str) -> list[str]:
    """Apply the migrations that this database has not seen, each in its own transaction; return their names."""
    applied = []
    with _connect(target) as connection:
        if connection.info.server_version < 150000:
            raise TidemarkError("Tidemark needs PostgreSQL 15 or newer: point TIDEMARK_DATABASE_URL at one.")
        if not _pending(connection):
            return applied
        connection.execute("select pg_advisory_lock(%s)", [_MIGRATION_LOCK])
        connection.execute("create schema if not exists ops")
        connection.execute(
            """create table if not exists ops.migrations
               (name text primary key, applied_at timestamptz not null default now())"""
        )
        connection.commit()
        for path in _pending(connection):
            _apply(connection, path)
            applied.append(path.name)
        connection.execute("call ops.settle()")  # what is new gets its owner and its grants
        connection.execute("select pg_advisory_unlock(%s)", [_MIGRATION_LOCK])
    return applied


def _pending(connection: psycopg.Connection) -> list[Path]:
    """The migrations that this database has not seen, in order."""
    exists = connection.execute("select to_regclass('ops.migrations')").fetchone()[0]
    known = {name for (name,) in connection.execute("select name from ops.migrations")} if exists else set()
    return [path for path in sorted(MIGRATIONS.glob("*.sql")) if path.name not in known]


def _apply(connection: psycopg.Connection, path: Path) -> None:
    try:
        connection.execute(path.read_text())
    except psycopg.errors.InsufficientPrivilege as error:
        login, name = connection.info.user, connection.info.dbname
        raise TidemarkError(
            f"The login {login} may not prepare the database {name} ({error.diag.message_primary}): have an "
            f'administrator run `alter role "{login}" createrole; alter database "{name}" owner to "{login}"` once.'
        ) from error
    connection.execute("insert into ops.migrations (name) values (%s)", [path.name])
    connection.commit()


@contextmanager
def connect(role: str | None = None, *, rows: bool = False, autocommit: bool = False) -> Iterator[psycopg.Connection]:
    """A connection to the warehouse in UTC: commits when the block ends, rolls back when it raises.

    `role` is the stage's, of migration 0025; without one it is the login of the URL, which is for the operator alone.
    With `rows`, results are dictionaries. Raises TidemarkError when the database cannot be reached.
    """
    options = {"row_factory": dict_row} if rows else {}
    with _connect(url(role), autocommit=autocommit, **options) as connection:
        yield connection


def sync_tenant(connection: psycopg.Connection) -> None:
    """Write `config/tenant.yml` where SQL finds it: zone and currency in `ops.tenant`, and `ops.reporting_limits`."""
    who = tenant()
    connection.execute(
        """insert into ops.tenant (name, timezone, currency) values (%s, %s, %s)
           on conflict (is_only) do update
           set name = excluded.name, timezone = excluded.timezone, currency = excluded.currency
           where (ops.tenant.name, ops.tenant.timezone, ops.tenant.currency)
                 is distinct from (excluded.name, excluded.timezone, excluded.currency)""",
        [who.name, who.timezone, who.currency],
    )
    connection.execute("delete from ops.reporting_limits where currency <> all(%s)", [list(who.reporting_limits)])
    for currency, amount in who.reporting_limits.items():
        connection.execute(
            """insert into ops.reporting_limits (currency, amount, near_rate) values (%s, %s, %s)
               on conflict (currency) do update set amount = excluded.amount, near_rate = excluded.near_rate
               where (reporting_limits.amount, reporting_limits.near_rate)
                     is distinct from (excluded.amount, excluded.near_rate)""",
            [currency, amount, who.near_limit_rate],
        )
