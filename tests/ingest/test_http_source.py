"""An HTTP API as a source: pages that shift, limits, failures, tokens, crashes; and whose secrets stay secret."""

import base64
import json
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from orchestration.errors import TidemarkError
from orchestration.ingest.loader import NotAllLoaded, ingest, reach, standing_failures
from orchestration.ingest.sources import http
from orchestration.settings import settings, sources
from orchestration.warehouse import database
from tests.ingest.conftest import ROOT, event
from tests.ingest.servers.receipts import API_KEY, FIRST_REFRESH_TOKEN, Shop, serving

RECEIPTS = """
sources:
  receipts:
    format: json
    user_id: optional
    http:
      url: %s/v3/application/shops/7/receipts
      records: results
      parameters: {sort_on: updated, sort_order: asc}
      headers: [{name: x-api-key, value: '${ETSY_KEY}'}]
      auth: {token_url: '%s/v3/public/oauth/token', client_id: k, refresh_token: '${ETSY_REFRESH_TOKEN}'}
      pages: {offset: offset, limit: limit, size: 10}
      cursor: {field: updated_timestamp, parameter: min_last_modified, overlap: PT2S}
      requests_per_second: 10
    mapping:
      event_type: {value: receipt_paid}
      event_id: receipt_id
      user_id: buyer_user_id
      occurred_at: {column: created_timestamp, format: epoch_seconds}
"""


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture
def receipts(shop, warehouse, configure, monkeypatch):
    """A running API, which is the source `receipts`."""
    with serving(shop) as address:
        monkeypatch.setenv("ETSY_KEY", API_KEY)
        monkeypatch.setenv("ETSY_REFRESH_TOKEN", FIRST_REFRESH_TOKEN)
        configure(RECEIPTS % (address, address))
        yield address


def reconfigure(old: str, new: str) -> None:
    path = settings().config / "sources.yml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def stored(query) -> list[int]:
    return [int(number) for (number,) in query("select event_id from raw.events order by event_id::int")]


# Pages that shift -----------------------------------------------------------------------------------------------------


def test_all_pages_are_read_and_afterwards_only_what_is_new(shop, receipts, query):
    shop.sell(*range(35))
    (load,) = ingest("receipts")
    assert load.loaded == 35 and load.locator == f"{receipts}/v3/application/shops/7/receipts"
    assert stored(query) == list(range(35))
    shop.sell(35, 36)
    before = len(shop.asked)
    (load,) = ingest("receipts")
    assert (load.loaded, load.duplicate) == (2, load.received - 2) and load.received <= 10
    assert int(shop.asked[before]["min_last_modified"]) >= 1_770_000_000 + 30
    assert query("select properties->>'status' from raw.events limit 1") == [("Paid",)]


def test_records_that_change_pages_while_paging_are_neither_lost_nor_doubled(shop, receipts, query):
    shop.sell(*range(60))
    changes = iter(range(40))

    def meanwhile(_) -> None:
        for number in (next(changes, None), next(changes, None)):  # of pages that were read: the rest moves up
            if number is not None:
                shop.change(number, at=1_770_001_000 + number)

    shop.meanwhile = meanwhile
    ingest("receipts")
    assert stored(query) == list(range(60))
    assert query("select sum(loaded), sum(quarantined) from raw.loads") == [(60, 0)]


def test_a_second_with_more_receipts_than_a_page_is_read_whole(shop, receipts, query):
    shop.sell(*range(1, 34), at=1_770_000_500)
    shop.sell(50, 51, at=1_770_000_501)
    ingest("receipts")
    assert len(stored(query)) == 35
    shop.sell(60, at=1_770_000_501)
    ingest("receipts")
    assert len(stored(query)) == 36


def test_a_server_that_gives_fewer_than_it_was_asked_for_is_read_to_its_end(shop, receipts, query):
    shop.max_limit = 4
    shop.sell(*range(30))
    ingest("receipts")
    assert stored(query) == list(range(30))


def test_pages_without_a_cursor_are_all_read_each_time(shop, receipts, query):
    reconfigure("      cursor: {field: updated_timestamp, parameter: min_last_modified, overlap: PT2S}\n", "")
    shop.sell(*range(25))
    ingest("receipts")
    shop.sell(25)
    (load,) = ingest("receipts")
    assert (load.received, load.loaded) == (26, 1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("sort_order: asc", "sort_order: desc", "does not sort by updated_timestamp, the oldest first"),
        ("min_last_modified", "since", "gives records from before since"),
        ("offset: offset", "offset: start", "gives the same page again and again"),
        ("records: results", "records: data.items", "has no list of records at 'data.items'"),
        ("receipts\n      records", "nothing\n      records", "answers 404"),
        ("field: updated_timestamp", "field: status", "has a status that is no time and no number"),
    ],
)
def test_an_api_that_is_not_as_it_was_described_is_said(shop, receipts, old, new, said):
    shop.sell(*range(35), at=None)
    if "offset" in old:
        shop.sell(*range(35), at=1_770_000_000)
    reconfigure(old, new)
    with pytest.raises(NotAllLoaded, match=said):
        ingest("receipts")


# Limits, failures, tokens ---------------------------------------------------------------------------------------------


def test_requests_are_as_fast_as_allowed_and_no_faster(shop, receipts, query):
    shop.sell(*range(120))
    started = time.monotonic()
    ingest("receipts")
    seconds, requests = time.monotonic() - started, len(shop.statuses)
    assert shop.statuses.count(429) <= 1  # what left in time may still arrive in a bunch on a busy machine
    assert seconds >= (requests - 1) / 10


def test_429_with_retry_after_and_500_now_and_then_are_waited_for(shop, receipts, query, monkeypatch):
    monkeypatch.setattr("urllib3.util.Retry.DEFAULT_BACKOFF_MAX", 1)
    reconfigure("requests_per_second: 10", "requests_per_second: 100")
    shop.requests_per_second, shop.fails_every = 8, 7
    shop.sell(*range(70))
    ingest("receipts")
    assert stored(query) == list(range(70))
    assert 429 in shop.statuses and 500 in shop.statuses


def test_a_token_that_expires_is_renewed_and_the_newest_refresh_token_is_kept(shop, receipts, query):
    shop.token_seconds = 6  # renewed five seconds before
    shop.sell(*range(150))
    ingest("receipts")
    assert stored(query) == list(range(150))
    assert len(shop.access_tokens) > 1 and shop.refresh_token != FIRST_REFRESH_TOKEN
    kept = settings().directory("tokens") / "receipts.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    shop.sell(150)
    ingest("receipts")  # another process would have nothing but what was kept
    assert len(stored(query)) == 151
    shop.access_tokens.clear()  # revoked
    shop.sell(151)
    ingest("receipts")
    assert len(stored(query)) == 152


def test_other_credentials_replace_the_kept_token(shop, receipts, query, monkeypatch):
    shop.sell(1)
    ingest("receipts")
    shop.refresh_token = "refresh-canary-new"
    shop.access_tokens.clear()
    with pytest.raises(NotAllLoaded, match=r"gives no access token \(invalid_grant\): authorise Tidemark again"):
        ingest("receipts")
    monkeypatch.setenv("ETSY_REFRESH_TOKEN", "refresh-canary-new")
    shop.sell(2)
    ingest("receipts")
    assert stored(query) == [1, 2]


def test_client_credentials(shop, receipts, query, monkeypatch):
    monkeypatch.setenv("ETSY_SECRET", "client-canary")
    reconfigure("refresh_token: '${ETSY_REFRESH_TOKEN}'", "client_secret: '${ETSY_SECRET}'")
    shop.sell(1)
    ingest("receipts")
    assert stored(query) == [1]


def test_what_fails_is_one_sentence_and_what_was_read_before_is_loaded(shop, receipts, query, monkeypatch):
    shop.sell(*range(40))

    def meanwhile(_) -> None:
        if len(shop.asked) == 2:
            shop.access_tokens.clear()
            shop.refresh_token = "used elsewhere"

    shop.meanwhile = meanwhile
    with pytest.raises(NotAllLoaded, match="gives no access token"):
        ingest("receipts")
    assert len(stored(query)) >= 10
    with database.connect() as connection:
        (failure,) = standing_failures(connection)
    assert (failure["source"], failure["locator"]) == ("receipts", "receipts")


def test_secrets_stand_nowhere(shop, receipts, query, caplog, capfd, monkeypatch):
    reconfigure("sort_on: updated", "token: '${ETSY_KEY}', sort_on: updated")
    shop.sell(*range(12))
    with caplog.at_level("DEBUG"):
        ingest("receipts")
        shop.fails_every = 1
        monkeypatch.setattr(http, "RETRIES", 1)
        with pytest.raises(NotAllLoaded, match="answers 500") as caught:
            ingest("receipts")
        monkeypatch.setenv("ETSY_KEY", "other-canary")
        shop.fails_every = 0
        with pytest.raises(NotAllLoaded, match="answers 403: check its credentials") as refused:
            ingest("receipts")
    with database.connect() as connection:
        tables = [
            connection.execute(f"select coalesce(string_agg(t::text, ''), '') from {table} t").fetchone()[0]
            for table in ("raw.loads", "raw.cursors", "raw.events", "raw.quarantine", "ops.source_failures")
        ]
    said = "".join([caplog.text, *capfd.readouterr(), *tables, str(caught.value), str(refused.value)])
    assert "canary" not in said


def test_a_server_that_is_not_there_is_said_without_the_address_of_the_request(receipts, monkeypatch):
    monkeypatch.setattr(http, "RETRIES", 0)
    reconfigure(f"{receipts}/v3/application", "http://127.0.0.1:9/v3/application")
    with pytest.raises(
        NotAllLoaded, match=r"http://127.0.0.1:9/v3/\S+ cannot be reached \(ConnectionError\)"
    ) as caught:
        ingest("receipts")
    assert "sort_on" not in str(caught.value)


def test_it_is_reached_by_asking_for_one_page_once(shop, receipts, query, monkeypatch):
    shop.sell(*range(35))
    assert reach("receipts") == f"{receipts}/v3/application/shops/7/receipts answers"
    assert len(shop.asked) == 1
    assert query("select count(*) from raw.loads") == [(0,)]
    reconfigure(f"{receipts}/v3/application", "http://127.0.0.1:9/v3/application")
    began = time.monotonic()
    with pytest.raises(TidemarkError, match=r"http://127.0.0.1:9/v3/\S+ cannot be reached \(ConnectionError\)"):
        reach("receipts")
    assert time.monotonic() - began < 5


# Killed ---------------------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from orchestration.ingest import loader
from orchestration.ingest.sources import http

http.LOAD_RECORDS = 10
true, calls = getattr(loader, sys.argv[1]), 0

def killed(*arguments):
    global calls
    calls += 1
    if calls == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return true(*arguments)

setattr(loader, sys.argv[1], killed)
loader.ingest("receipts")
"""


def test_a_killed_reader_goes_on_where_it_was_with_nothing_twice_and_nothing_lost(shop, receipts, query, monkeypatch):
    reconfigure("requests_per_second: 10", "requests_per_second: 100")
    shop.requests_per_second = 1000
    shop.sell(*range(80))
    for point, call in (("load", 3), ("_move_cursor", 2), ("close_ledger", 3)):
        process = subprocess.run([sys.executable, "-c", KILLED, point, str(call)], cwd=ROOT, capture_output=True)
        assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    read_before, asked_before = len(stored(query)), len(shop.asked)
    assert 20 <= read_before < 80
    monkeypatch.setattr(http, "LOAD_RECORDS", 10)
    ingest("receipts")
    assert stored(query) == list(range(80))
    assert query("select sum(loaded), count(*) = count(distinct checksum) from raw.loads") == [(80, True)]
    assert int(shop.asked[asked_before]["min_last_modified"]) > 1_770_000_000 + read_before - 10


# Other ways of paging -------------------------------------------------------------------------------------------------


@pytest.fixture
def pages(warehouse, configure, monkeypatch):
    """Serve what a function makes of a request: (path with query, headers) -> (headers, body); keeps what was asked."""
    servers = []

    def pages(answer, rest: str) -> list[str]:
        asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                headers, body = answer(self.path, dict(self.headers))
                self.send_response(headers.pop(":status", 200))
                for name, value in headers.items():
                    self.send_header(name, value.replace("HERE", f"http://{self.headers['Host']}"))
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        url = f"http://127.0.0.1:{server.server_address[1]}/events"
        configure(f"sources: {{api: {{http: {{url: '{url}', requests_per_second: 1000, {rest}}}}}}}")
        return asked

    yield pages
    for server in servers:
        server.shutdown()
        server.server_close()


EVENTS = [event(number) for number in range(25)]


def test_pages_by_number_with_a_user_and_a_password(pages, query, monkeypatch):
    monkeypatch.setenv("API_PASSWORD", "p:ä")

    def answer(path: str, headers: dict) -> tuple[dict, list]:
        if base64.b64decode(headers["Authorization"].removeprefix("Basic ")) != "me:p:ä".encode():
            return {":status": 401}, []
        number = int(path.partition("&page=")[2].partition("&")[0])
        return {}, EVENTS[(number - 1) * 10 : number * 10]

    asked = pages(answer, "pages: {page: page, size: 10}, auth: {user: me, password: '${API_PASSWORD}'}")
    assert [load.loaded for load in ingest("api")] == [25]
    assert asked == [f"/events?per_page=10&page={number}" for number in (1, 2, 3, 4)]


def test_pages_by_links_in_a_header(pages, query):
    def answer(path: str, _: dict) -> tuple[dict, list]:
        start = int(path.partition("from=")[2] or 0)
        following = {"Link": f'<HERE/events?from={start + 10}>; rel="next"'} if start < 20 else {}
        return following, EVENTS[start : start + 10]

    asked = pages(answer, "pages: {next: Link}")
    assert [load.loaded for load in ingest("api")] == [25]
    assert asked == ["/events", "/events?from=10", "/events?from=20"]


def test_pages_by_tokens_with_a_cursor_of_times(pages, query):
    def answer(path: str, _: dict) -> tuple[dict, dict]:
        start = 23 if "since" in path else int(path.partition("after=")[2].partition("&")[0] or 0)
        return {}, {
            "data": {"items": EVENTS[start : start + 10]},
            "meta": {"next": str(start + 10) if start < 20 else ""},
        }

    cursor = "cursor: {field: occurred_at, parameter: since, overlap: PT5M}"
    asked = pages(answer, f"records: data.items, pages: {{next: meta.next, parameter: after}}, {cursor}")
    assert [load.loaded for load in ingest("api")] == [25]
    assert asked == ["/events", "/events?after=10", "/events?after=20"]
    ingest("api")
    assert asked[3] == "/events?since=2026-03-01T10%3A18%3A00Z"  # the last but one was at 10:23


def test_a_parameter_that_excludes_its_own_value_lets_no_tie_slip_through(pages, query):
    told = [event(number) | {"sequence": number // 4} for number in range(25)]

    def answer(path: str, _: dict) -> tuple[dict, list]:
        asked = {name: int(values[0]) for name, values in parse_qs(urlsplit(path).query).items()}
        found = [record for record in told if record["sequence"] > asked.get("since", -1)]
        return {}, found[asked["offset"] : asked["offset"] + asked["limit"]]

    pages(answer, "pages: {size: 10}, cursor: {field: sequence, parameter: since, overlap: 0}")
    assert sum(load.loaded for load in ingest("api")) == 25
    assert query("select count(*) from raw.events") == [(25,)]


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Link": '<http://elsewhere.example/>; rel="next"'}, "names a next page on another server: it is not asked"),
        ({"Link": '<HERE/events>; rel="next"'}, "names a page as the next one that came before"),
        ({":status": 302, "Location": "http://elsewhere.example/"}, "answers 302"),
    ],
)
def test_a_server_that_leads_elsewhere_is_not_followed(pages, headers, said):
    pages(lambda *_: (dict(headers), EVENTS[:1]), "pages: {next: Link}")
    with pytest.raises(NotAllLoaded, match=said):
        ingest("api")


def test_a_source_that_fails_stops_no_other(pages, query, write):
    pages(lambda *_: ({":status": 404}, []), "pages: {next: Link}")
    with pytest.raises(NotAllLoaded, match="answers 404"):
        ingest("api")
    path = settings().config / "sources.yml"
    path.write_text(path.read_text() + "\n")
    assert sources()["api"].kind == "http"


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("headers: [{name: k, value: abc}]", "a secret does not stand in this file"),
        ("auth: {user: u, password: pw}", "a secret does not stand in this file"),
        ("auth: {token_url: u, client_id: c}", "give a client_secret, a refresh_token, or both"),
    ],
)
def test_secrets_are_not_written_into_the_file(configure, part, said):
    configure(f"sources:\n  api:\n    http: {{url: 'http://h/', {part}}}\n")
    with pytest.raises(TidemarkError, match=r"sources.yml:3 .*" + said):
        sources()
