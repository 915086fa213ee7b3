"""Encryption of what may be personal anywhere in it: records in quarantine, archives of raw events.

The key is made from `TIDEMARK_SECRET_KEY`: who has it can open what is sealed, who loses it loses what is sealed.
"""

import hmac
import os
from functools import cache
from typing import Any

from orchestration.errors import TidemarkError
from orchestration.settings import settings

SEALED = b"\x00sealed\x01"  # then 12 bytes of nonce, and what AES-256-GCM makes of the bytes


def sealed(payload: bytes, key: bytes | None = None) -> bytes:
    """The payload, encrypted and signed: nobody reads it where it lies, and nobody changes it.

    The key is that of the settings; who seals many payloads gives it, for looking it up takes a millisecond.
    """
    nonce = os.urandom(12)
    return SEALED + nonce + _cipher(key or settings().key).encrypt(nonce, payload, None)


def opened(payload: bytes, key: bytes | None = None) -> bytes:
    """The bytes that were sealed. What was stored before payloads were sealed, and what was emptied, is as it is.

    The key is as for `sealed`. Raises TidemarkError when they were sealed with another key, or changed since.
    """
    from cryptography.exceptions import InvalidTag

    if not payload.startswith(SEALED):
        return payload
    start = len(SEALED)
    try:
        return _cipher(key or settings().key).decrypt(payload[start : start + 12], payload[start + 12 :], None)
    except (InvalidTag, ValueError):
        raise TidemarkError(
            "This was sealed with another key: set TIDEMARK_SECRET_KEY, or secret.key in TIDEMARK_HOME, to what it was "
            "when the record came."
        ) from None


@cache
def _cipher(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(hmac.digest(key, b"quarantined payloads", "sha256"))
