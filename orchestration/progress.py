"""Telling the command line which step of a run has started, in place of Dagster's own log lines."""

import contextlib
import contextvars
import logging
from collections.abc import Callable, Iterator

import dagster as dg

_listener: contextvars.ContextVar[Callable[[str], None]] = contextvars.ContextVar("listener", default=lambda step: None)


@contextlib.contextmanager
def told(listener: Callable[[str], None]) -> Iterator[None]:
    """Within the block, `listener` hears the name of each step that starts in this process."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


class _Progress(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "dagster_meta", {}).get("dagster_event")
        if event and event.event_type_value == "STEP_START":
            _listener.get()(event.step_key)


@dg.logger(description="Names each step as it starts, for the command line.")
def progress(_context: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger("tidemark.progress", logging.DEBUG)
    logger.addHandler(_Progress())
    return logger
