"""HTTP APIs that answer in pages of JSON. How a record becomes an event is the dialects' affair."""

import json
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import msgspec
import psycopg

from orchestration.ingest.sources.arrival import Pending, SourceFailure, in_memory, standing_at
from orchestration.settings import Basic, Http, HttpCursor, NextLink, OAuth2, Offset, Overlap, Source, filled, settings

if TYPE_CHECKING:
    import requests
    from authlib.integrations.requests_client import OAuth2Session

LOAD_RECORDS = 5_000
LOAD_BYTES = 8 * 1024 * 1024
LOAD_SECONDS = 30  # what was read is committed after so long, however little it is
RETRIES = 6
MAX_WAIT_SECONDS = 300  # of what a server may ask for by Retry-After
_TIMEOUT_SECONDS = 10, 60  # to connect, to answer
_MILLISECONDS = 10**11  # a larger number is a time in milliseconds, a smaller one in seconds
_EXPIRED = 1  # when a token ended that is not there yet


def pending(connection: psycopg.Connection, name: str, source: Source) -> Iterator[Pending]:
    """What the API has from the cursor on less the overlap, some pages a load.

    Raises SourceFailure when it does not answer, or not as config/sources.yml says; what was read before is loaded.
    """
    http = source.http
    locator = http.url.partition("?")[0]
    before = standing_at(connection, name, locator) or {}
    reached = before.get("since")
    client = _Client(name, http, RETRIES)
    start = _behind(reached, http.cursor.overlap) if reached is not None and http.cursor else None
    for lines, since in _grouped(_pages(client, http, start)):
        is_ahead = since is not None and (reached is None or _order(since) > _order(reached))
        reached = since if is_ahead else reached
        yield locator, partial(in_memory, locator, lines, {"since": reached})


def reach(name: str, source: Source) -> str:
    """The address, whose first page is as config/sources.yml says; it is asked for once. Raises SourceFailure."""
    next(_pages(_Client(name, source.http, 0), source.http, None), None)
    return f"{source.http.url.partition('?')[0]} answers"


def _grouped(pages: Iterator[tuple[list[bytes], object]]) -> Iterator[tuple[bytes, object]]:
    """Pages put together into loads of bounded size, with the cursor after the last of each."""
    lines, begun, since = [], time.monotonic(), None
    try:
        for records, since in pages:
            lines += records
            size = sum(map(len, lines))
            if len(lines) >= LOAD_RECORDS or size >= LOAD_BYTES or time.monotonic() - begun >= LOAD_SECONDS:
                yield b"\n".join([*lines, b""]), since
                lines, begun = [], time.monotonic()
    except SourceFailure:
        if lines:
            yield b"\n".join([*lines, b""]), since
        raise
    if lines:
        yield b"\n".join([*lines, b""]), since


# Pages --------------------------------------------------------------------------------------------------------------


def _pages(client: "_Client", http: Http, since: object) -> Iterator[tuple[list[bytes], object]]:
    """The records of each page, and the cursor up to which nothing is missing then."""
    if isinstance(http.pages, NextLink):
        yield from _linked(client, http, since)
    else:
        yield from _numbered(client, http, since)


def _numbered(client: "_Client", http: Http, since: object) -> Iterator[tuple[list[bytes], object]]:
    """Pages by number, until one is empty: a server may give fewer records than it was asked for.

    A record that changes meanwhile moves to the end, and the ones after it move up by one, past a page that was read
    before. So whenever the cursor has moved, the next page is the first one from there on.
    """
    pages, read, number, last = http.pages, 0, 0, None
    while True:
        parameters = {pages.limit: pages.size}
        parameters |= {pages.offset: read} if isinstance(pages, Offset) else {pages.page: pages.first + number}
        records, _ = client.page(parameters, since)
        if not records:
            return
        if read and records == last:
            raise client.failure("gives the same page again and again: correct `pages`")
        last = records
        reached = _reached(client, http.cursor, records, since)
        if reached != since:
            since, read, number = reached, 0, 0
        else:
            read, number = read + len(records), number + 1
        yield records, since


def _linked(client: "_Client", http: Http, since: object) -> Iterator[tuple[list[bytes], object]]:
    """Pages that name the next one."""
    pages, reached, address, token, seen = http.pages, since, None, None, set()
    while True:
        parameters = {pages.parameter: token} if token else {}
        records, following = client.page(parameters, since, address)
        if records:
            reached = _reached(client, http.cursor, records, reached)
            yield records, reached
        if not following:
            return
        if following in seen:
            raise client.failure("names a page as the next one that came before: correct `pages`")
        seen.add(following)
        address, token = (None, following) if pages.parameter else (following, None)


def _reached(client: "_Client", cursor: HttpCursor | None, records: list[bytes], since: object) -> object:
    """The cursor after a page: the last value but one, for there may be more records of the last.

    Raises SourceFailure when records do not come in the cursor's order, or come from before it.
    """
    if cursor is None:
        return None
    values = [value for record in records if (value := _value(client, cursor, record)) is not None]
    order = [_order(value) for value in values]
    if any(earlier > later for earlier, later in pairwise(order)):
        raise client.failure(f"does not sort by {cursor.field}, the oldest first: ask for that in `parameters`")
    if since is not None and order and order[-1] < _order(since):
        raise client.failure(f"gives records from before {cursor.parameter}: correct `cursor`")
    complete = [value for value in values if _order(value) < order[-1]]
    if not complete or (since is not None and _order(complete[-1]) <= _order(since)):
        return since
    return complete[-1]


def _value(client: "_Client", cursor: HttpCursor, record: bytes) -> int | float | str | None:
    raw = _at(msgspec.Raw(record), cursor.field)
    try:
        value = msgspec.json.decode(raw, type=int | float | str | None) if raw is not None else None
        _order(value or 0)
    except (msgspec.ValidationError, ValueError):
        raise client.failure(f"has a {cursor.field} that is no time and no number: correct `cursor`") from None
    return value


def _order(value: float | str) -> float:
    """A number or a time, comparable. Raises ValueError for another text."""
    if not isinstance(value, str):
        return value
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _behind(value: float | str, overlap: Overlap) -> float | str:
    if isinstance(value, str):
        behind = datetime.fromisoformat(value) - (overlap if isinstance(overlap, timedelta) else timedelta(0))
        return behind.isoformat().replace("+00:00", "Z")
    if isinstance(overlap, timedelta):
        return value - int(overlap.total_seconds()) * (1000 if value > _MILLISECONDS else 1)
    return value - overlap


def _at(raw: msgspec.Raw, path: str) -> msgspec.Raw | None:
    """What stands in a JSON text at a dotted path, with its bytes as they came: a price keeps every decimal."""
    for name in path.split(".") if path else []:
        try:
            found = msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).get(name)
        except msgspec.ValidationError:
            return None
        if found is None:
            return None
        raw = found
    return raw


# Asking -------------------------------------------------------------------------------------------------------------


@dataclass
class _Client:
    """Asks one API: with its credentials, no faster than it allows, again when that can help."""

    name: str  # of the source
    http: Http
    retries: int
    url: str = field(init=False, repr=False)
    session: "requests.Session" = field(init=False, repr=False)
    next_at: float = 0

    def __post_init__(self):
        self.url = filled(self.http.url)
        self.session = _session(self)

    def failure(self, what: str) -> SourceFailure:
        return SourceFailure(f"Source {self.name!r}: {self.http.url.partition('?')[0]} {what}.")

    def page(self, parameters: dict, since: object, address: str | None = None) -> tuple[list[bytes], str | None]:
        """The records of a page, a JSON text on one line each, and what it names as the next one."""
        if address:
            response = self._get(self._own(address), None)
        else:
            fixed = {name: filled(value) for name, value in self.http.parameters.items()}
            cursor = {self.http.cursor.parameter: since} if since is not None else {}
            response = self._get(self.url, fixed | cursor | parameters)
        body = msgspec.Raw(response.content)
        try:
            found = _at(body, self.http.records)
            records = msgspec.json.decode(found if found is not None else b"", type=list[msgspec.Raw])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise self.failure(
                f"has no list of records at {self.http.records or 'the top'!r}: correct `records`"
            ) from None
        return [bytes(record).replace(b"\n", b" ") for record in records], self._following(response, body)

    def _following(self, response: "requests.Response", body: msgspec.Raw) -> str | None:
        pages = self.http.pages
        if not isinstance(pages, NextLink):
            return None
        if pages.next == "Link":
            return response.links.get("next", {}).get("url")
        found = _at(body, pages.next)
        value = msgspec.json.decode(found) if found is not None else None
        return str(value) if value else None

    def _own(self, address: str) -> str:
        """The address of the next page. On another server it would be given our credentials."""
        whole = urljoin(self.url, address)
        if urlsplit(whole)[:2] != urlsplit(self.url)[:2]:
            raise self.failure("names a next page on another server: it is not asked")
        return whole

    def _get(self, url: str, parameters: dict | None) -> "requests.Response":
        import requests
        from authlib.common.errors import AuthlibBaseError

        try:
            response = self._paced(url, parameters)
            if response.status_code == 401 and isinstance(self.http.auth, OAuth2):
                self.session.auth.token["expires_at"] = _EXPIRED  # it may end before its time
                response = self._paced(url, parameters)
        except AuthlibBaseError as error:
            raise self.failure(f"gives no access token ({error.error}): authorise Tidemark again") from None
        except requests.Timeout:
            raise self.failure("does not answer in time: it is tried again at the next look") from None
        except requests.exceptions.SSLError:
            raise self.failure("has a certificate that is not trusted: correct it there") from None
        except requests.RequestException as error:  # what it says holds the whole address
            raise self.failure(
                f"cannot be reached ({type(error).__name__}): check the address and the network"
            ) from None
        if response.status_code in (401, 403):
            raise self.failure(f"answers {response.status_code}: check its credentials")
        if response.status_code != 200:
            raise self.failure(f"answers {response.status_code}: check `url` and `parameters`, or wait")
        return response

    def _paced(self, url: str, parameters: dict | None) -> "requests.Response":
        time.sleep(max(0, self.next_at - time.monotonic()))
        self.next_at = time.monotonic() + 1 / self.http.requests_per_second
        # A redirect would take our headers along.
        return self.session.get(url, params=parameters, timeout=_TIMEOUT_SECONDS, allow_redirects=False)


def _session(client: _Client) -> "requests.Session":
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it would log whole addresses
    again = Retry(
        total=client.retries,
        status_forcelist=(429, 500, 502, 503, 504),
        backoff_factor=0.5,
        backoff_jitter=0.5,
        backoff_max=60,
        retry_after_max=MAX_WAIT_SECONDS,
        raise_on_status=False,
        redirect=False,
    )
    session = requests.Session()
    session.mount("https://", HTTPAdapter(max_retries=again))
    session.mount("http://", HTTPAdapter(max_retries=again))
    session.headers.update({"Accept": "application/json", "User-Agent": "tidemark"})
    session.headers.update({header.name: filled(header.value) for header in client.http.headers})
    auth = client.http.auth
    if isinstance(auth, Basic):
        session.auth = filled(auth.user).encode(), filled(auth.password).encode()
    elif auth:
        session.auth = _tokens(client.name, auth).token_auth
    return session


# OAuth 2 ------------------------------------------------------------------------------------------------------------


def _tokens(name: str, auth: OAuth2) -> "OAuth2Session":
    """What gets access tokens, before they expire. The newest token is kept: a server may take a refresh token once."""
    from authlib.integrations.requests_client import OAuth2Session

    secret = filled(auth.client_secret) if auth.client_secret else None
    given = filled(auth.refresh_token) if auth.refresh_token else ""
    kept = settings().directory("tokens") / f"{name}.json"
    of = sha256(f"{given}\n{secret}".encode()).hexdigest()  # other credentials: the token of these is of no use
    token = {"access_token": "", "refresh_token": given, "token_type": "Bearer", "expires_at": _EXPIRED}
    if kept.exists() and (found := json.loads(kept.read_text()))["of"] == of:
        token = found["token"]
    return OAuth2Session(
        filled(auth.client_id),
        secret,
        token_endpoint=filled(auth.token_url),
        grant_type="refresh_token" if given else "client_credentials",
        scope=auth.scope,
        token=token,
        update_token=lambda fresh, **_: _keep(kept, {"of": of, "token": fresh}),
        leeway=5,
        default_timeout=_TIMEOUT_SECONDS,
    )


def _keep(path: Path, token: dict) -> None:
    fresh = path.with_suffix(".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(token, file)
    fresh.replace(path)
