"""A PostgreSQL that asks for passwords (scram-sha-256), and in it a small warehouse that Tidemark's own login made."""

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace

import psycopg
import pytest
import yaml
from psycopg.conninfo import make_conninfo

from orchestration.settings import ROOT
from orchestration.warehouse import access, database, server
from tests.access.world import EVENTS
from tests.transform.events import load

PASSWORD = "correct-horse"
RULES = "local all postgres trust\nlocal all all scram-sha-256\n"  # the superuser is the tests' own way in


@pytest.fixture(scope="session")
def password_server() -> str:
    """The URL of the superuser of a server on which everybody else needs a password."""
    directory = Path(mkdtemp(prefix="tidemark-"))
    base = server.start(directory)
    (directory / "pg_hba.conf").write_text(RULES)
    with psycopg.connect(base, autocommit=True) as connection:
        connection.execute("alter system set fsync = off")
        connection.execute("select pg_reload_conf()")
    yield base
    server.stop(directory)
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def guarded(password_server, parsed_project, tmp_path_factory) -> SimpleNamespace:
    """A warehouse of the sample world, made by a login that is no superuser and may create roles.

    `grant(readers)` writes config/access.yml, applies it and gives each login a password; `as_login` connects as one;
    `build` publishes again; `admin` is the superuser's connection.
    """
    folder = tmp_path_factory.mktemp("guarded")
    config = shutil.copytree(ROOT / "config", folder / "config")
    (config / "tenant.yml").write_text("name: Test\ntimezone: UTC\ncurrency: EUR\n")
    with psycopg.connect(password_server, autocommit=True) as connection:
        connection.execute(f"create role tidemark login createrole password '{PASSWORD}'")
        connection.execute("create database tidemark owner tidemark")
    base = database._database(password_server, database.WAREHOUSE)
    url = base.replace("postgres:@", f"tidemark:{PASSWORD}@")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDEMARK_HOME", str(folder / "home"))
        patch.setenv("TIDEMARK_CONFIG", str(config))
        patch.setenv("TIDEMARK_SECRET_KEY", "test-key")
        patch.setenv("TIDEMARK_DATABASE_URL", url)
        patch.delenv("TIDEMARK_SMTP_URL", raising=False)
        patch.setattr("orchestration.transform.project.target", lambda: parsed_project)
        from orchestration.transform import project

        with database.connect("loader") as connection:
            database.sync_tenant(connection)
            connection.execute("create table raw.events_all partition of raw.events default")
            high_mark = load(connection, EVENTS)
        project.build("staging marts published predictions", high_mark)
        with psycopg.connect(base, autocommit=True) as admin:

            def grant(readers: list[dict]) -> None:
                (config / "access.yml").write_text(
                    yaml.safe_dump({"readers": {f"r-{one['login']}": one for one in readers}})
                )
                with database.connect() as connection:
                    access.apply(connection)
                for one in readers:
                    admin.execute(f"alter role {one['login']} password '{PASSWORD}'")

            def as_login(login: str, **options) -> psycopg.Connection:
                parts = {"user": login, "password": PASSWORD, **options}
                return psycopg.connect(make_conninfo(base, **parts), autocommit=True)

            yield SimpleNamespace(
                admin=admin, grant=grant, as_login=as_login, url=url,
                build=lambda: project.build("published predictions", high_mark),
            )  # fmt: skip
        database.forget()
        assert os.environ["TIDEMARK_DATABASE_URL"] == url
