"""Sends the messages of `ops.outbox` that are due, and writes down there what became of them.

At least once: a process that dies between sending and writing leaves its message due, and it goes out again with the
same Message-ID. Channels take turns, so that this is one message and not one of each; who takes long loses the turn.
When a message is tried again stands in the table, so that it outlives a restart.
"""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from threading import Lock

import psycopg

from orchestration.errors import TidemarkError
from orchestration.outbox import channels, http
from orchestration.outbox.transports import (
    Deferred,
    Gone,
    Message,
    Refused,
    Transport,
    Undelivered,
    Unreachable,
    transport,
)
from orchestration.settings import AppriseChannel, Channel, alerts, filled, settings
from orchestration.warehouse import database

ATTEMPTS = 16  # with these delays, a message is given up after a day and a half
FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=30), timedelta(hours=6)
TURN_SECONDS = 2.0  # how long a channel waits for another one that is sending: a slow receiver delays no other
MAIL = "mail"


@dataclass(frozen=True)
class Delivered:
    """What a delivery did: messages sent, put off until later, and given up; and why it stopped early, if it did."""

    sent: int = 0
    retried: int = 0
    dead: int = 0
    stopped: str | None = None


def deliver(limit: int = 200) -> Delivered:
    """Send up to `limit` due messages over each channel, the longest due first, each in a transaction of its own.

    No channel waits long for another. Several deliveries may run side by side: none takes a message that another one
    holds. Where a server cannot be reached, the rest of its channel stays due. Raises TidemarkError when
    `TIDEMARK_SMTP_URL` is not a URL, or a channel lacks a secret.
    """
    with database.connect("report", rows=True) as connection:
        unanswerable = _give_up_answers(connection)
        due = [
            row["channel"]
            for row in connection.execute(
                f"select distinct channel from ops.outbox where {_DUE} order by channel"
            ).fetchall()
        ]
    known, turn = alerts().channels if set(due) - {MAIL} else {}, Lock()
    with ThreadPoolExecutor(max(len(due), 1)) as pool:
        done = list(pool.map(lambda name: _deliver_over(name, known.get(name), limit, turn), due))
    return Delivered(
        sent=sum(one.sent for one in done),
        retried=sum(one.retried for one in done),
        dead=unanswerable + sum(one.dead for one in done),
        stopped="; ".join(one.stopped for one in done if one.stopped) or None,
    )


def _deliver_over(name: str, config: Channel | None, limit: int, turn: Lock) -> Delivered:
    counts = {"sent": 0, "retried": 0, "dead": 0}
    stopped = None
    with database.connect("report", rows=True, autocommit=True) as connection:
        if name != MAIL and (why := _closed(connection, name, config)):
            return Delivered(dead=_give_up_channel(connection, name, why))
        opened = transport(settings().smtp_url, settings().directory("outbox")) if name == MAIL else _opened(config)
        with closing(opened) as channel:
            while sum(counts.values()) < limit and not stopped:
                with _taken(turn), connection.transaction():
                    row = _next_due(connection, name)
                    if row is None:
                        break
                    fate = _attempt(channel, row)
                    _write(connection, row["message_id"], fate)
                    if fate.is_gone:
                        _stop(connection, name, config, fate.answer)
                counts[fate.outcome] += 1
                stopped = fate.answer if fate.stops else None
                if fate.is_gone:
                    counts["dead"] += _give_up_channel(connection, name, fate.answer)
    return Delivered(**counts, stopped=stopped)


@contextmanager
def _taken(turn: Lock) -> Iterator[None]:
    """The turn to send, or none after `TURN_SECONDS`: then the one who has it is waiting for a receiver."""
    is_mine = turn.acquire(timeout=TURN_SECONDS)
    try:
        yield
    finally:
        if is_mine:
            turn.release()


def _opened(config: Channel) -> Transport:
    try:
        return channels.channel(config)
    except ValueError as error:  # of a signing secret
        raise TidemarkError(f"A secret of config/alerts.yml cannot sign ({error}): it has to be base64.") from error


def reach(name: str) -> str:
    """Whether a message could go out over a channel, as far as can be said without sending one.

    Raises TidemarkError where a secret is missing or cannot sign, where its address is none that may be posted to, and
    where its receiver said that it wants nothing any more.
    """
    config = alerts().channels[name]
    _opened(config).close()
    with database.connect("report", rows=True) as connection:
        if reason := _closed(connection, name, config):
            raise TidemarkError(f"The channel {name} is stopped ({reason}): change its entry in config/alerts.yml.")
    if isinstance(config, AppriseChannel):
        return "its secrets are set"
    try:
        host = http.check(filled(config.url, "alerts.yml"), config.allow_private)
    except Undelivered as error:
        raise TidemarkError(f"The channel {name} leads nowhere ({error}): correct it in config/alerts.yml.") from error
    return f"its secrets are set, {host} is found"


def is_due(connection: psycopg.Connection) -> bool:
    """Whether any message waits to be sent now."""
    return connection.execute(f"select exists (select from ops.outbox where {_DUE})").fetchone()[0]


def delay(attempts: int) -> timedelta:
    """How long to wait after so many attempts: doubling up to a limit, scattered so that retries spread out."""
    return min(FIRST_DELAY * 2 ** (attempts - 1), LONGEST_DELAY) * random.uniform(0.75, 1.25)


@dataclass(frozen=True)
class _Fate:
    """What an attempt led to. `outcome` is sent, retried or dead; `wait` is what the receiver asked for."""

    outcome: str
    answer: str
    attempts: int
    stops: bool = False
    is_gone: bool = False
    wait: timedelta | None = None


# What may be sent now. What answers another message waits until that one was delivered.
_DUE = """status = 'pending' and next_attempt_at <= now() and not ops.is_quiet(quiet_hours, now()) and (
    after is null
    or exists (select from ops.outbox as before where before.message_id = outbox.after and before.status = 'sent')
)"""


def _next_due(connection: psycopg.Connection, channel: str) -> dict | None:
    return connection.execute(
        f"""select message_id, recipient, subject, mime, payload, created_at, attempts
            from ops.outbox
            where channel = %s and {_DUE}
            order by next_attempt_at, message_id
            limit 1
            for update skip locked""",
        [channel],
    ).fetchone()


def _give_up_answers(connection: psycopg.Connection) -> int:
    """Nobody is told how something ended who was never told that it began."""
    return connection.execute(
        """update ops.outbox set status = 'dead', last_error = 'The message that it answers was never delivered.'
           where status = 'pending'
             and exists (select from ops.outbox as before
                         where before.message_id = outbox.after and before.status in ('dead', 'withdrawn'))"""
    ).rowcount


def _closed(connection: psycopg.Connection, name: str, config: Channel | None) -> str | None:
    """Why nothing is sent over a channel any more, if so. Another address in the configuration opens it again."""
    if config is None:
        return f"config/alerts.yml has no channel {name} any more."
    connection.execute(
        "delete from ops.stopped_channels where channel = %s and address_hash <> %s",
        [name, channels.address_hash(config)],
    )
    row = connection.execute("select reason from ops.stopped_channels where channel = %s", [name]).fetchone()
    return row and row["reason"]


def _stop(connection: psycopg.Connection, name: str, config: Channel, reason: str) -> None:
    connection.execute(
        """insert into ops.stopped_channels (channel, address_hash, reason) values (%s, %s, %s)
           on conflict (channel) do nothing""",
        [name, channels.address_hash(config), reason],
    )


def _give_up_channel(connection: psycopg.Connection, name: str, why: str) -> int:
    return connection.execute(
        "update ops.outbox set status = 'dead', last_error = %s where channel = %s and status = 'pending'", [why, name]
    ).rowcount


def _attempt(channel: Transport, row: dict) -> _Fate:
    attempts = row.pop("attempts") + 1
    later = "retried" if attempts < ATTEMPTS else "dead"
    try:
        return _Fate("sent", channel.send(Message(**row)), attempts)
    except Refused as error:
        return _Fate("dead", str(error), attempts)
    except Gone as error:
        return _Fate("dead", str(error), attempts, stops=True, is_gone=True)
    except Deferred as error:
        return _Fate(later, str(error), attempts, wait=error.after)
    except Unreachable as error:
        return _Fate(later, str(error), attempts, stops=True, wait=error.after)


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
        asdict(fate) | {"message_id": message_id, "delay": max(delay(fate.attempts), fate.wait or timedelta(0))},
    )
