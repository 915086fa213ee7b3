"""Where mail goes: a mail server, or a folder of `.eml` files when none is configured. No database here.

Also what any way out has in common: the message, and the words in which it fails. Other ways are in `channels`.
"""

import os
import re
import smtplib
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Literal, Protocol, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from orchestration.errors import TidemarkError

TIMEOUT_SECONDS = 30


class Undelivered(Exception):
    """A message was not taken. `after`: how long the receiver asked to be left alone, if it did."""

    def __init__(self, reason: str, after: timedelta | None = None):
        super().__init__(reason)
        self.after = after


class Refused(Undelivered):
    """The receiver will never take this message: trying again cannot help."""


class Deferred(Undelivered):
    """The receiver does not take this message now."""


class Unreachable(Undelivered):
    """No message can be sent now: the others need not be tried."""


class Gone(Undelivered):
    """The receiver wants no message any more."""


@dataclass(frozen=True)
class Message:
    """What is needed to send a row of `ops.outbox`: `mime` of a mail, `payload` of any other message."""

    message_id: str
    recipient: str
    subject: str
    mime: bytes | None
    payload: dict | None
    created_at: datetime


class Transport(Protocol):
    def send(self, message: Message) -> str:
        """Send a message and return its fate. Raises Undelivered, as one of its four kinds."""

    def close(self) -> None:
        """Let go of what sending holds."""


def transport(smtp_url: str | None, folder: Path) -> Transport:
    """The mail server of `TIDEMARK_SMTP_URL`, or the folder. Raises TidemarkError when the URL is none."""
    return MailServer(Address.parse(smtp_url)) if smtp_url else Folder(folder)


@dataclass(frozen=True)
class Folder:
    """Writes each message to a file of its own, whole or not at all. The same message has the same name."""

    path: Path

    def send(self, message: Message) -> str:
        slug = re.sub("[^a-z0-9]+", "-", message.subject.lower()).strip("-")[:60]
        target = self.path / f"{message.created_at:%Y%m%dT%H%M%SZ}-{slug}-{message.message_id[:12]}.eml"
        partial = target.with_suffix(f".{os.getpid()}.tmp")
        try:
            partial.write_bytes(message.mime)
            partial.replace(target)
        except OSError as error:
            raise Unreachable(f"{target} cannot be written: {error}") from error
        return str(target)

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Address:
    """Where a mail server is, and how to talk to it."""

    host: str
    port: int
    encryption: Literal["none", "starttls", "tls"]
    user: str | None
    password: str | None

    @classmethod
    def parse(cls, url: str) -> Self:
        """From `smtp://user:password@host:587?starttls=1` or `smtps://…`. Raises TidemarkError."""
        try:  # what is wrong is said without the URL, which holds a password
            parts = urlsplit(url)
            options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
            starttls = options.pop("starttls", "0")
            port = parts.port
            if parts.scheme not in ("smtp", "smtps"):
                raise ValueError("it begins neither with smtp:// nor with smtps://")
            if not parts.hostname:
                raise ValueError("it names no host")
            if options or starttls not in ("0", "1") or parts.path not in ("", "/") or parts.fragment:
                raise ValueError("starttls=0 or starttls=1 is all that may follow the port")
        except ValueError as error:
            raise TidemarkError(
                f"TIDEMARK_SMTP_URL is not the URL of a mail server ({error}): write "
                f"smtp://user:password@host:587?starttls=1 or smtps://user:password@host, "
                f"or unset it to have mail written to files."
            ) from None
        encryption = "tls" if parts.scheme == "smtps" else "starttls" if starttls == "1" else "none"
        return cls(
            host=parts.hostname,
            port=port or {"none": 25, "starttls": 587, "tls": 465}[encryption],
            encryption=encryption,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password or ""),
        )


class MailServer:
    """Hands messages to an SMTP server, over one connection that is opened with the first of them."""

    def __init__(self, address: Address):
        self.address = address
        self._connection: smtplib.SMTP | None = None

    def send(self, message: Message) -> str:
        try:
            if self._connection is None:
                self._connection = _connect(self.address)
            code, answer = _hand_over(self._connection, message)
            if code >= 400:
                self._connection.rset()
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            raise Unreachable(f"{self.address.host}: {_reason(error)}") from error
        fate = f"{self.address.host}: {code} {answer.decode(errors='replace')}"
        if code == 421:  # the server is about to close
            self.close()
            raise Unreachable(fate)
        if code >= 500:
            raise Refused(fate)
        if code >= 400:
            raise Deferred(fate)
        return fate

    def greet(self) -> str:
        """Connect and log in, and say so. Raises Unreachable."""
        try:
            self._connection = _connect(self.address)
        except (smtplib.SMTPException, OSError) as error:
            raise Unreachable(f"{self.address.host}:{self.address.port}: {_reason(error)}") from error
        return f"{self.address.host}:{self.address.port} answers"

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            with suppress(smtplib.SMTPException, OSError):
                connection.quit()
            connection.close()


def _connect(address: Address) -> smtplib.SMTP:
    secure = ssl.create_default_context()
    if address.encryption == "tls":
        connection = smtplib.SMTP_SSL(address.host, address.port, timeout=TIMEOUT_SECONDS, context=secure)
    else:
        connection = smtplib.SMTP(address.host, address.port, timeout=TIMEOUT_SECONDS)
    try:
        if address.encryption == "starttls":
            connection.starttls(context=secure)
        if address.user:
            connection.login(address.user, address.password or "")
        connection.ehlo_or_helo_if_needed()
    except (smtplib.SMTPException, OSError):
        connection.close()
        raise
    return connection


def _hand_over(connection: smtplib.SMTP, message: Message) -> tuple[int, bytes]:
    """The server's last word on a message: its first refusal, or its answer to the whole."""
    sender = message_from_bytes(message.mime, policy=policy.default)["From"].addresses[0].addr_spec
    code, answer = connection.mail(sender)
    if code < 400:
        code, answer = connection.rcpt(message.recipient)
    if code < 400:
        try:
            code, answer = connection.data(message.mime)
        except smtplib.SMTPDataError as error:
            code, answer = error.smtp_code, error.smtp_error
    return code, answer


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {error.smtp_error.decode(errors='replace')}"
    return str(error) or type(error).__name__
