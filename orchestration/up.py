"""`tidemark up`: the database, Dagster's UI and its daemon as one thing that starts, stays up and ends together."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from orchestration import instance
from orchestration.errors import TidemarkError
from orchestration.settings import ROOT, alerts, reports, settings, sources, tenant
from orchestration.warehouse import access, database, server

START_SECONDS = 120
STOP_SECONDS = 30


def run(host: str, port: int, say: Callable[[str], None]) -> None:
    """Start all of it, say the address, and stay until Ctrl-C or SIGTERM. Raises TidemarkError when it cannot start."""
    for needed in (port, port + 1):
        _require_free(host, needed)
    for read in (tenant, sources, alerts, reports):
        read()  # what is wrong with the configuration is said here, not in a log
    with database.connect() as connection:
        access.apply(connection)
    embedded = not settings().database_url
    here = {"TIDEMARK_HOME": str(settings().home.resolve()), "TIDEMARK_CONFIG": str(settings().config.resolve())}
    if "answers_url" not in settings().model_fields_set:  # else it is where the page is seen from outside
        here["TIDEMARK_ANSWERS_URL"] = f"http://{host}:{port + 1}"
    environment = os.environ | instance.environment() | here
    log = settings().directory("logs") / "dagster.log"
    say(f"Starting Dagster (log: {log})")
    if embedded:
        say("The embedded database is for one operator: whoever reaches its socket is its superuser.")
    dagster = _start(
        ["dagster", "dev", "-w", str(ROOT / "workspace.yaml"), "-h", host, "-p", str(port)], environment, log
    )
    # What is behind the links in alerts answers strangers: it is a process of its own.
    serve = ["orchestration.cli", "alerts", "serve", "--host", host, "--port", str(port + 1)]
    answers = _start(serve, os.environ | here, log)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _wait_until_it_answers(dagster, host, port, log)
        say(f"Tidemark is up: http://{host}:{port}  (Ctrl-C ends it)")
        while dagster.poll() is None:
            if embedded:
                server.start(settings().home.resolve() / "postgres")  # starts it again, had it died
            time.sleep(2)
        raise TidemarkError(f"Dagster ended by itself: {log} says why.")
    except KeyboardInterrupt:
        say("Stopping")
    finally:
        _stop(answers)
        _stop(dagster)
        if embedded:
            server.stop(settings().home.resolve() / "postgres")
            database.forget()


def _require_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise TidemarkError(
                f"Port {port} of {host} cannot be used ({error}): choose another one with --port."
            ) from error


def _start(module: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen:
    """Run a Python module in a session of its own: Ctrl-C reaches us alone, and we end everything in order."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", *module],
            env=environment | {"PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def _wait_until_it_answers(dagster: subprocess.Popen, host: str, port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if dagster.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://{host}:{port}/server_info", timeout=5):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    raise TidemarkError(f"Dagster did not start: {log} says why.")


def _stop(process: subprocess.Popen) -> None:
    """End a process and everything that it started."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # whatever did not hear
