"""Workers: in order, failures told, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial

import psutil

from orchestration.predict import workers


def _worker(pid_file) -> None:
    pid_file.write_text(str(os.getpid()))
    time.sleep(600)


def _fail() -> None:
    raise ValueError("nothing to\nlearn from")


def _gone(pid: int, seconds: float = 20.0) -> bool:
    for _ in range(int(seconds * 20)):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def _pid(path) -> int:
    for _ in range(120 * 20):
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.05)
    raise AssertionError("no worker began in two minutes")


def test_results_come_in_order_and_what_fails_or_dies_is_told_beside_the_others():
    begun = []
    killed = partial(signal.raise_signal, signal.SIGKILL)
    jobs = {"slow": partial(time.sleep, 0.5), "bad": _fail, "killed": killed, "good": partial(divmod, 7, 2)}
    told = list(workers.side_by_side(jobs, begun.append))
    assert [name for name, _ in told] == begun == list(jobs)
    assert dict(told) == {
        "slow": None,
        "bad": workers.Failed("nothing to learn from"),
        "killed": workers.Failed("its process was killed, perhaps for want of memory"),
        "good": (3, 1),
    }


def test_workers_end_when_nobody_listens_any_more(tmp_path):
    jobs = {"first": partial(divmod, 7, 2), "long": partial(_worker, tmp_path / "pid")}
    with closing(workers.side_by_side(jobs)) as told:
        assert next(told) == ("first", (3, 1))
        if os.cpu_count() == 1:
            return  # the second waits for its turn
        pid = _pid(tmp_path / "pid")
    assert _gone(pid)


def test_workers_end_with_the_process_that_began_them_however_it_ends(tmp_path):
    code = f"""
from functools import partial
from pathlib import Path
from orchestration.predict import workers
from tests.predict.test_workers import _worker
workers.PRELOADED.clear()  # nothing is learned here
list(workers.side_by_side({{"long": partial(_worker, Path({str(tmp_path / "pid")!r}))}}))
"""
    for ending in (signal.SIGKILL, signal.SIGINT):
        (tmp_path / "pid").unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-c", code])
        pid = _pid(tmp_path / "pid")
        process.send_signal(ending)
        assert process.wait(20) != 0 and _gone(pid)
