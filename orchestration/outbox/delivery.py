"""Sends the messages of `ops.outbox` that are due, and writes down there what became of them.

At least once: a process that dies between sending and writing leaves its message due, and it goes out again with the
same Message-ID. When a message is tried again stands in the table, so that it outlives a restart.
"""

import random
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import timedelta

import psycopg

from orchestration.outbox.transports import Deferred, Message, Refused, Transport, Unreachable, transport
from orchestration.settings import settings
from orchestration.warehouse import database

ATTEMPTS = 16  # with these delays, a message is given up after a day and a half
FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=30), timedelta(hours=6)


@dataclass(frozen=True)
class Delivered:
    """What a delivery did: messages sent, put off until later, and given up; and why it stopped early, if it did."""

    sent: int = 0
    retried: int = 0
    dead: int = 0
    stopped: str | None = None


def deliver(limit: int = 200) -> Delivered:
    """Send up to `limit` due messages, the longest due first, each in a transaction of its own.

    Several deliveries may run side by side: none takes a message that another one holds. Where the server cannot be
    reached, the rest stays due. Raises TidemarkError when `TIDEMARK_SMTP_URL` is not a URL.
    """
    counts = {"sent": 0, "retried": 0, "dead": 0}
    stopped = None
    with (
        closing(transport(settings().smtp_url, settings().directory("outbox"))) as channel,
        database.connect(rows=True, autocommit=True) as connection,
    ):
        while sum(counts.values()) < limit and not stopped:
            with connection.transaction():
                row = _next_due(connection)
                if row is None:
                    break
                fate = _attempt(channel, row)
                _write(connection, row["message_id"], fate)
            counts[fate.outcome] += 1
            stopped = fate.answer if fate.stops else None
    return Delivered(**counts, stopped=stopped)


def is_due(connection: psycopg.Connection) -> bool:
    """Whether any message waits to be sent now."""
    query = "select exists (select from ops.outbox where status = 'pending' and next_attempt_at <= now())"
    return connection.execute(query).fetchone()[0]


def delay(attempts: int) -> timedelta:
    """How long to wait after so many attempts: doubling up to a limit, scattered so that retries spread out."""
    return min(FIRST_DELAY * 2 ** (attempts - 1), LONGEST_DELAY) * random.uniform(0.75, 1.25)


@dataclass(frozen=True)
class _Fate:
    """What an attempt led to. `outcome` is sent, retried or dead."""

    outcome: str
    answer: str
    attempts: int
    stops: bool = False


def _next_due(connection: psycopg.Connection) -> dict | None:
    return connection.execute(
        """select message_id, recipient, subject, mime, created_at, attempts
           from ops.outbox
           where status = 'pending' and next_attempt_at <= now()
           order by next_attempt_at, message_id
           limit 1
           for update skip locked"""
    ).fetchone()


def _attempt(channel: Transport, row: dict) -> _Fate:
    attempts = row.pop("attempts") + 1
    later = "retried" if attempts < ATTEMPTS else "dead"
    try:
        return _Fate("sent", channel.send(Message(**row)), attempts)
    except Refused as error:
        return _Fate("dead", str(error), attempts)
    except Deferred as error:
        return _Fate(later, str(error), attempts)
    except Unreachable as error:
        return _Fate(later, str(error), attempts, stops=True)


def _write(connection: psycopg.Connection, message_id: str, fate: _Fate) -> None:
    connection.execute(
        """update ops.outbox
           set attempts = %(attempts)s,
               status = case %(outcome)s when 'retried' then 'pending' else %(outcome)s end,
               sent_at = case %(outcome)s when 'sent' then clock_timestamp() end,
               fate = case %(outcome)s when 'sent' then %(answer)s end,
               last_error = case %(outcome)s when 'sent' then last_error else %(answer)s end,
               next_attempt_at = clock_timestamp() + %(delay)s
           where message_id = %(message_id)s""",
        asdict(fate) | {"message_id": message_id, "delay": delay(fate.attempts)},
    )
