"""Signed, expiring links with which who was told of an incident may act on it. Nothing here reads or writes."""

import base64
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from orchestration.errors import TidemarkError
from orchestration.settings import settings

VALID = timedelta(days=7)


@dataclass(frozen=True)
class Grant:
    """What a link allows: to act on one incident, as the one whom it was sent to."""

    incident_id: int
    receiver: str
    expires_at: datetime


def link(incident_id: int, receiver: str, now: datetime) -> str:
    """The address of the page on which `receiver` may act on an incident, for `VALID` from now."""
    token = seal(Grant(incident_id, receiver, (now + VALID).replace(microsecond=0)))
    return f"{settings().answers_url.rstrip('/')}/incidents/{token}"


def seal(grant: Grant) -> str:
    """A grant as a token for a URL: its JSON and the HMAC-SHA256 of that."""
    body = json.dumps([grant.incident_id, grant.receiver, int(grant.expires_at.timestamp())]).encode()
    return f"{_text(body)}.{_text(_signature(body))}"


def unseal(token: str, now: datetime) -> Grant:
    """The grant of a token. Raises TidemarkError when it was not signed here, or has expired."""
    head, _, tail = token.partition(".")
    try:
        body, signature = _bytes(head), _bytes(tail)
    except ValueError:
        body, signature = b"", b""
    if not hmac.compare_digest(signature, _signature(body)):
        raise TidemarkError("This link is not valid: open it as it stands in the message.")
    incident_id, receiver, expires = json.loads(body)
    grant = Grant(incident_id, receiver, datetime.fromtimestamp(expires, UTC))
    if grant.expires_at <= now:
        raise TidemarkError("This link has expired: use ./tidemark alerts, or the link of a newer message.")
    return grant


def _signature(body: bytes) -> bytes:
    return hmac.new(settings().key, b"incident link\0" + body, sha256).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
