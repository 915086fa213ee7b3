"""What many tests need: a real PostgreSQL with a fresh, migrated warehouse for each test, and the real data sets.

With TIDEMARK_NIGHTLY=1, the tests marked `nightly` run too, and hypothesis tries many more examples.
"""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import hypothesis
import psycopg
import pytest

from orchestration.warehouse import database, server

DATA = Path(os.environ.get("TIDEMARK_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
IN_ONE_PROCESS = ("access", "pipeline")  # folders whose fixtures set an environment for as long as they stand

IS_NIGHTLY = os.environ.get("TIDEMARK_NIGHTLY") == "1"
hypothesis.settings.register_profile("quick", deadline=None, derandomize=True)
hypothesis.settings.register_profile("nightly", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("nightly" if IS_NIGHTLY else "quick")


def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Of two processes side by side, one runs a file, or one of the folders that stay together, to its end."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return next((folder for folder in IN_ONE_PROCESS if file.startswith(f"tests/{folder}/")), file)

    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the tests that take many minutes to the night."""
    for item in items:
        if item.get_closest_marker("nightly") and not IS_NIGHTLY:
            item.add_marker(pytest.mark.skip(reason="takes many minutes: set TIDEMARK_NIGHTLY=1"))


@pytest.fixture(scope="session")
def postgres() -> str:
    """The URL of a real PostgreSQL server that holds a migrated template database."""
    directory = Path(mkdtemp(prefix="tidemark-"))  # pytest's own folders are closed to the server's user
    base = server.start(directory)
    with psycopg.connect(base, autocommit=True) as connection:  # what a test writes need not survive a power cut
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"alter system set {name} = off")
        connection.execute("select pg_reload_conf()")
    template = database._database(base, "template_tidemark")
    database.create(template)
    database.migrate(template)
    yield base
    server.stop(directory)
    shutil.rmtree(directory)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty TIDEMARK_HOME, and the shipped configuration."""
    monkeypatch.setenv("TIDEMARK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TIDEMARK_SECRET_KEY", "test-key")
    for name in ("TIDEMARK_CONFIG", "TIDEMARK_SMTP_URL", "TIDEMARK_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def warehouse(request, postgres, home, monkeypatch) -> str:
    """The URL of a fresh, migrated, empty warehouse, to which the settings of the process point.

    For a test that runs dbt, dbt's relations are there, and as empty.
    """
    template = request.getfixturevalue("built_template") if "dbt" in request.fixturenames else "template_tidemark"
    target = _copy(postgres, template)
    monkeypatch.setenv("TIDEMARK_DATABASE_URL", target)
    return target


def _copy(postgres: str, template: str) -> str:
    """Make the warehouse a copy of a template; its URL."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"drop database if exists {database.WAREHOUSE} with (force)")
        connection.execute(f"create database {database.WAREHOUSE} template {template}")
        for grant in (  # of which a copy has those that PostgreSQL gives
            "revoke all on database {} from public",
            "grant connect, temporary on database {} to pipeline, loader, warehouse",
            "grant connect on database {} to reader, analyst, auditor, reidentifier",
        ):
            connection.execute(grant.format(database.WAREHOUSE))
    return database._database(postgres, database.WAREHOUSE)


@pytest.fixture(scope="session")
def built_template(postgres, parsed_project, tmp_path_factory) -> str:
    """The name of a database in which dbt has built everything from no events."""
    from orchestration.transform import project

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDEMARK_HOME", str(tmp_path_factory.mktemp("template")))
        patch.setenv("TIDEMARK_DATABASE_URL", _copy(postgres, "template_tidemark"))
        for name in ("TIDEMARK_CONFIG", "TIDEMARK_SMTP_URL"):
            patch.delenv(name, raising=False)
        patch.setattr(project, "target", lambda: parsed_project)
        project.build("staging marts published", 0)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"create database template_built template {database.WAREHOUSE}")
    return "template_built"


@pytest.fixture
def begin_with(postgres, warehouse) -> Callable[[str, Callable[[], None]], None]:
    """Fill the fresh warehouse: by what is given in the first test, by a copy of that in those which name the same."""

    def begin_with(name: str, fill: Callable[[], None]) -> None:
        with psycopg.connect(postgres, autocommit=True) as server:
            if server.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
                server.execute(f"drop database {database.WAREHOUSE} with (force)")
                server.execute(f"create database {database.WAREHOUSE} template {name}")
            else:
                fill()
                query = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
                server.execute(query, [database.WAREHOUSE])
                server.execute(f"create database {name} template {database.WAREHOUSE}")

    return begin_with


@pytest.fixture(scope="session")
def parsed_project(tmp_path_factory) -> Path:
    """A folder in which dbt's project is parsed once for all tests, whichever worker runs them."""
    from orchestration.transform import project

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "dbt"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, (folder / "lock").open("w") as lock:
        patch.setenv("TIDEMARK_HOME", str(folder))
        for name in ("TIDEMARK_CONFIG", "TIDEMARK_DATABASE_URL"):
            patch.delenv(name, raising=False)
        patch.setattr(project, "target", lambda: folder)
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be parsing it
        project.manifest()
    return folder


@pytest.fixture
def dbt(warehouse, parsed_project, monkeypatch):
    """The module that runs dbt, over the fresh warehouse."""
    from orchestration.transform import project

    monkeypatch.setattr(project, "target", lambda: parsed_project)
    return project


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data sets; skips where it is absent. Set TIDEMARK_TEST_DATA to point elsewhere."""
    if not DATA.is_dir():
        pytest.skip(f"real data sets are not at {DATA}: set TIDEMARK_TEST_DATA to their folder")
    return DATA
