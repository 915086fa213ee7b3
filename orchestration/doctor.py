"""`tidemark doctor`: what an operator would check first when something does not work."""

import os
import shutil
import sys
from collections.abc import Callable
from functools import partial

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.ingest import loader, sources
from orchestration.outbox import delivery, transports
from orchestration.warehouse import access, database

FREE_GIB = 2


def examine() -> list[dict]:
    """Every check with its outcome, {"check", "ok", "detail"}; a check that fails says what to do."""
    checks: dict[str, Callable[[], str]] = {
        "python": lambda: f"{sys.version.split()[0]}, {os.cpu_count()} cores",
        "home": _home,
        "configuration": _configuration,
        "database": _database,
        "access": _access,
        "mail": _mail,
    }
    checks |= {f"source {name}": partial(loader.reach, name) for name in _standing()}
    checks |= {f"channel {name}": partial(delivery.reach, name) for name in _channels()}
    results = []
    for name, check in checks.items():
        try:
            results.append({"check": name, "ok": True, "detail": check()})
        except TidemarkError as error:
            results.append({"check": name, "ok": False, "detail": str(error)})
    return results


def _standing() -> list[str]:
    try:
        return sources.standing()
    except TidemarkError:
        return []  # what is wrong with the configuration is said once


def _channels() -> list[str]:
    try:
        return sorted(settings.alerts().channels)
    except TidemarkError:
        return []


def _home() -> str:
    home = settings.settings().directory(".")
    free = shutil.disk_usage(home).free / 2**30
    if free < FREE_GIB:
        raise TidemarkError(f"{home} has {free:.1f} GiB left: free some, or point TIDEMARK_HOME elsewhere.")
    return f"{home}, {free:.0f} GiB free"


def _configuration() -> str:
    who, known, alerts, reports = settings.tenant(), settings.sources(), settings.alerts(), settings.reports()
    exports = settings.exports()
    return (
        f"{settings.settings().config}: {who.name} in {who.timezone}, {len(known)} sources, "
        f"{len(alerts.rules)} alert rules, {len(reports.reports)} reports, {len(exports)} exports"
    )


def _database() -> str:
    with database.connect("dagster") as connection:
        version = connection.execute("show server_version").fetchone()[0]
        size = connection.execute("select pg_size_pretty(pg_database_size(current_database()))").fetchone()[0]
    kind = "yours" if settings.settings().database_url else "embedded"
    return f"PostgreSQL {version} ({kind}), {size}"


def _access() -> str:
    with database.connect() as connection:
        login, is_superuser = connection.execute(
            "select rolname, rolsuper from pg_roles where rolname = session_user"
        ).fetchone()
        wrong = access.faults(connection)
    if wrong:
        raise TidemarkError(f"{wrong[0]}: `./tidemark access check` shows who may do what; take it away.")
    if not settings.settings().database_url:
        return "the embedded server is for one operator: whoever reaches its socket is its superuser"
    return f"each role as it should be{f'; {login} is a superuser, which it need not be' if is_superuser else ''}"


def _mail() -> str:
    target = settings.settings().smtp_url
    if not target:
        return f"no TIDEMARK_SMTP_URL: mail is written to {settings.settings().directory('outbox')}"
    server = transports.MailServer(transports.Address.parse(target))
    try:
        return server.greet()
    except transports.Unreachable as error:
        raise TidemarkError(f"The mail server does not answer ({error}): check TIDEMARK_SMTP_URL.") from error
    finally:
        server.close()
