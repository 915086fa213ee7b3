"""Pure functions side by side, each in a process of its own: what one does with memory, or dies of, is its own affair.

What they need is bound to them, what they return is taken in by the caller. Nothing is read from the warehouse here.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from typing import TypeVar

PRELOADED = ["orchestration.predict.preloaded"]
MOST = 4  # at a time: each takes some 300 MB
WRONG = ValueError, ArithmeticError, RuntimeError  # what learning itself raises

Result = TypeVar("Result")


@dataclass(frozen=True)
class Failed:
    """Why a job gave nothing."""

    reason: str


def warm() -> None:
    """Begin to import the heavy libraries, once for all workers, in the process that they will be forked from."""
    _context().set_forkserver_preload(PRELOADED)
    forkserver.ensure_running()


def side_by_side(
    jobs: Mapping[str, Callable[[], Result]], on_start: Callable[[str], None] = lambda name: None
) -> Iterator[tuple[str, Result | Failed]]:
    """Each job's name and what it returned, in the order given, as soon as it is there; `on_start` hears who begins.

    Jobs begin in that order, one a core, and are functions of a module or partial ones. Whoever stops listening closes
    the iterator: then what still runs is killed. Nothing outlives this process, however it ends.
    """
    if jobs:
        warm()
    waiting, running, done = deque(jobs), {}, {}
    try:
        for name in jobs:
            while name not in done:
                while waiting and len(running) < min(os.cpu_count() or 1, MOST):
                    begun = waiting.popleft()
                    on_start(begun)
                    receiver, process = _start(jobs[begun])
                    running[receiver] = begun, process
                for receiver in wait(list(running)):
                    ended, process = running[receiver]
                    done[ended] = _received(receiver, process)
                    del running[receiver]
            yield name, done.pop(name)
    finally:
        for _, process in running.values():
            process.kill()
            process.join()


def _context() -> multiprocessing.context.ForkServerContext:
    return multiprocessing.get_context("forkserver")


def _start(job: Callable[[], Result]) -> "tuple[Connection, multiprocessing.process.BaseProcess]":
    receiver, sender = _context().Pipe(duplex=False)
    process = _context().Process(target=_work, args=(job, sender), daemon=True)
    process.start()
    sender.close()  # the worker has its own: when that is closed, nothing more comes
    return receiver, process


def _received(receiver: Connection, process: "multiprocessing.process.BaseProcess") -> object:
    try:
        return receiver.recv()
    except EOFError:
        process.join()
        how = "was killed, perhaps for want of memory" if process.exitcode == -signal.SIGKILL else "ended unforeseen"
        return Failed(f"its process {how}")
    finally:
        process.join()
        receiver.close()


def _work(job: Callable[[], Result], sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: who started this kills it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        result = job()
    except WRONG as error:
        result = Failed(" ".join(str(error).split()))
    sender.send(result)


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
