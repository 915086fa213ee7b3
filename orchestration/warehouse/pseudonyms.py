"""Pseudonyms of personal values, under a key made from `TIDEMARK_SECRET_KEY`. Who gets one is the contract's affair."""

import hmac
import re

PREFIX = "pn_"
_PSEUDONYM = re.compile(rf"{PREFIX}[0-9a-f]{{20}}")
_REMEMBERED = 100_000  # pseudonyms: who appears once mostly appears again


class Pseudonyms:
    """The pseudonyms under a key: the same value has the same one, in whichever dialect, field and load it comes."""

    def __init__(self, key: bytes):
        self._key = hmac.digest(key, b"pseudonyms", "sha256")
        self._known: dict[str, str] = {}

    def of(self, value: str) -> str:
        """`pn_` and 20 hexadecimal digits of HMAC-SHA256 (RFC 2104). A pseudonym is its own.

        `mailto:` and the case do not count, so that an xAPI mailbox and an address in a form are the same.
        """
        found = self._known.get(value)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[value] = self._computed(value)
        return found

    def _computed(self, value: str) -> str:
        if _PSEUDONYM.fullmatch(value):
            return value
        text = value.strip().casefold().removeprefix("mailto:")
        return PREFIX + hmac.digest(self._key, text.encode(), "sha256").hex()[:20]
