"""Putting a message into `ops.outbox`, in the caller's transaction. Sending it is the outbox stage's work."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime
from hashlib import sha256

import psycopg
from psycopg.types.json import Jsonb

from orchestration.errors import TidemarkError
from orchestration.settings import settings

_WIRE = SMTP.clone(cte_type="7bit")  # not every server takes eight bits


def message_id(key: str, recipient: str) -> str:
    """The id of the message that `key` names, to one recipient: the same for ever."""
    return sha256(f"{key}\x1f{recipient}".encode()).hexdigest()[:32]


def enqueue(
    connection: psycopg.Connection,
    message: EmailMessage,
    *,
    topic: str,
    key: str,
    manifest: dict | None = None,
    reply_to: str | None = None,
    after: str | None = None,
    quiet_hours: Sequence[dict] = (),
) -> bool:
    """Queue a message for each of its recipients, once per `key` and recipient for ever.

    Sets a stable Message-ID, so that a receiver can drop a repeat; the sender and the date, unless they are given;
    and with `reply_to`, the id of an earlier message, the headers that put both into one thread. With `after`, the id
    of another, it is sent only once that one was; never within `quiet_hours` (from, to and timezone, each). Returns
    False when all were queued before. Raises TidemarkError for a header that spans lines and for an address that is
    none.
    """
    _refuse_line_breaks(message)
    message = deepcopy(message)
    if "From" not in message:
        message["From"] = settings().mail_from
    if "Date" not in message:
        message["Date"] = localtime()
    _addresses(message, "From")
    queued = False
    for recipient in _addresses(message, "To"):
        identity = message_id(key, recipient)
        _set(message, "To", recipient)
        _set(message, "Message-ID", _header(identity))
        if reply_to:
            for name in ("In-Reply-To", "References"):
                _set(message, name, _header(reply_to))
        queued |= bool(
            connection.execute(
                """insert into ops.outbox (message_id, topic, recipient, subject, mime, manifest, after, quiet_hours)
                   values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (message_id) do nothing""",
                [
                    identity,
                    topic,
                    recipient,
                    message["Subject"],
                    message.as_bytes(policy=_WIRE),
                    Jsonb(manifest or {}),
                    after,
                    Jsonb(list(quiet_hours)),
                ],
            ).rowcount
        )
    return queued


def enqueue_payload(
    connection: psycopg.Connection,
    channel: str,
    payload: Callable[[str], dict],
    *,
    topic: str,
    key: str,
    after: str | None = None,
    quiet_hours: Sequence[dict] = (),
) -> str:
    """Queue a message to one of `channels` in config/alerts.yml, once per `key` and channel; return its id.

    `payload` is given the id, and says what the channel will put into words of its own: it has a `message`. `after`
    and `quiet_hours` are those of `enqueue`.
    """
    identity = message_id(key, f"channel:{channel}")
    told = payload(identity)
    connection.execute(
        """insert into ops.outbox (message_id, topic, recipient, subject, channel, payload, after, quiet_hours)
           values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (message_id) do nothing""",
        [identity, topic, channel, told["message"], channel, Jsonb(told), after, Jsonb(list(quiet_hours))],
    )
    return identity


def _header(identity: str) -> str:
    return f"<{identity}@tidemark>"


def _set(message: EmailMessage, name: str, value: str) -> None:
    del message[name]
    message[name] = value


def _refuse_line_breaks(message: EmailMessage) -> None:
    for name, value in message.raw_items():
        if "\r" in str(value) or "\n" in str(value):
            raise TidemarkError(
                f"The header {name} of a message spans lines: remove the line break from {str(value)!r}."
            )


def _addresses(message: EmailMessage, header: str) -> list[str]:
    """The plain addresses of a header. Raises TidemarkError unless each has a local part and a domain in ASCII."""
    addresses = [address.addr_spec for address in message[header].addresses] if message[header] else []
    if not addresses or not all(address.isascii() and all(address.rpartition("@")) for address in addresses):
        raise TidemarkError(f"{header}: {message[header]} is not a mail address such as ops@example.com: correct it.")
    return addresses
