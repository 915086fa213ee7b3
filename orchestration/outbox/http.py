"""One POST to an address that somebody typed in: no redirects, no private networks, no waiting for ever."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from threading import Timer
from urllib.parse import SplitResult, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from orchestration.outbox.transports import Deferred, Gone, Refused, Unreachable

CONNECT_SECONDS, READ_SECONDS = 5, 10
WHOLE_SECONDS = 20  # of connecting and reading: who sends a byte now and then is not waited for either
LEAST_WAIT, LONGEST_WAIT = timedelta(seconds=1), timedelta(days=1)
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Request:
    """What is posted where. `allow_private` also allows plain http, as inside a network of one's own."""

    url: str
    body: bytes
    headers: dict[str, str]
    allow_private: bool = False


def post(request: Request) -> str:
    """Post and return the answer's status in words, without the URL: it may hold a secret.

    The host is resolved once and that address is connected to, so that a name cannot turn into another one after it
    was judged. Raises Gone for 410; Refused for what no repeat can mend (400, 413, 422); Unreachable for 429 and when
    there is no answer in time; Deferred for anything else that is not a success, redirects among it.
    """
    parts, host, port, address = _judged(request.url, request.allow_private)
    if parts.scheme == "https":
        connection = HTTPSConnection(
            str(address), port, timeout=CONNECT_SECONDS, server_hostname=host, assert_hostname=host,
            ssl_context=ssl.create_default_context(),
        )  # fmt: skip
    else:
        connection = HTTPConnection(str(address), port, timeout=CONNECT_SECONDS)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": "application/json", "User-Agent": "Tidemark", "Host": parts.netloc.rpartition("@")[2]}
    try:
        with closing(connection), _bounded(connection):
            connection.connect()
            connection.timeout = READ_SECONDS
            connection.request("POST", path, request.body, headers | request.headers, preload_content=False)
            answer = connection.getresponse()
            text = answer.read(300).decode(errors="replace")
    except (urllib3.exceptions.HTTPError, HTTPException, OSError) as error:
        raise Unreachable(f"{host}: {_reason(error)}") from error
    return _judge(host, answer.status, answer.headers, " ".join(text.split()))


def check(url: str, allow_private: bool) -> str:
    """The host of an address that may be posted to. Raises Undelivered where it may not be, or is not found."""
    return _judged(url, allow_private)[1]


def _judged(url: str, allow_private: bool) -> tuple[SplitResult, str, int, IPv4Address | IPv6Address]:
    """The parts of an address, its host and port, and what that host is found to be now."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:  # it may hold a secret, so that it is not repeated
        raise Deferred("Its address is not a URL.") from error
    if parts.scheme not in ("https", "http") or not host:
        raise Deferred("Its address is not a URL that begins with https://.")
    if parts.scheme == "http" and not allow_private:
        raise Deferred(f"{host}: plain http is not allowed without allow_private: use https://.")
    return parts, host, port, _resolve(host, port, allow_private)


@contextmanager
def _bounded(connection: HTTPConnection) -> Iterator[None]:
    """End a conversation that takes longer than `WHOLE_SECONDS`: a time-out counts from each byte anew."""

    def hang_up() -> None:
        with suppress(OSError):
            if connection.sock:
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    timer = Timer(WHOLE_SECONDS, hang_up)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _judge(host: str, status: int, headers, text: str) -> str:
    said = f"{host}: {status} {text}".strip()
    if 200 <= status < 300:
        return said
    if status == 410:
        raise Gone(said)
    if status in (400, 413, 422):
        raise Refused(said)
    if status in (429, 503):
        raise Unreachable(said, _retry_after(headers.get("Retry-After")))
    if 300 <= status < 400:
        raise Deferred(f"{said}: redirects are not followed")
    raise Deferred(said)


def _retry_after(text: str | None) -> timedelta | None:
    """RFC 9110: seconds, or a date."""
    if not text:
        return None
    try:
        wait = timedelta(seconds=int(text)) if text.isdigit() else parsedate_to_datetime(text) - datetime.now(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait, LEAST_WAIT), LONGEST_WAIT)


def _resolve(host: str, port: int, allow_private: bool) -> IPv4Address | IPv6Address:
    """The address to connect to. Raises Unreachable when there is none, Deferred when one of them is private."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{host}: {error}") from error
    addresses = [ip_address(entry[4][0].partition("%")[0]) for entry in found]
    if not allow_private and not all(map(is_public, addresses)):
        raise Deferred(f"{host} is in a private network: set allow_private if it is meant to be.")
    return addresses[0]


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one of the internet, also where it wraps one of version 4."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if address.sixtofour or address.teredo or address in _NAT64:
            return False
    return address.is_global and not address.is_multicast


def _reason(error: Exception) -> str:
    """The innermost reason: the outer ones name the address."""
    while isinstance(reason := getattr(error, "reason", None) or error.__cause__, Exception):
        error = reason
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
        return "timed out"
    return " ".join(str(error).split()) or type(error).__name__
