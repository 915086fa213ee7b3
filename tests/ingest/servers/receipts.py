"""An API of a shop's receipts that behaves as Etsy's third one does.

Pages by limit and offset with `count` and `results`; `min_last_modified`, `sort_on` and `sort_order`; access tokens
that expire and refresh tokens that are good for one use; ten requests a second, and 429 with `Retry-After` beyond; a
500 now and then; and receipts that change, and so change pages, while someone pages through them.
"""

import base64
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

API_KEY = "keystring-canary"
FIRST_REFRESH_TOKEN = "refresh-canary-0"


@dataclass
class Shop:
    """What the API tells, and how it behaves."""

    receipts: dict[int, dict] = field(default_factory=dict)
    requests_per_second: int = 10
    fails_every: int = 0  # of the requests, that many apart, one is answered by 500
    token_seconds: float = 3600
    max_limit: int = 100
    meanwhile: Callable[["Shop"], None] = lambda shop: None  # called after every page
    refresh_token: str = FIRST_REFRESH_TOKEN
    access_tokens: dict[str, float] = field(default_factory=dict)
    asked: list[dict] = field(default_factory=list)  # the parameters of every page that was given
    statuses: list[int] = field(default_factory=list)
    recent: deque = field(default_factory=deque)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sell(self, *numbers: int, at: int | None = None) -> None:
        for number in numbers:
            created = 1_770_000_000 + number
            self.receipts[number] = {
                "receipt_id": number,
                "buyer_user_id": 100 + number % 7,
                "created_timestamp": created,
                "updated_timestamp": created if at is None else at,
                "grandtotal": {"amount": 100 + number, "divisor": 100, "currency_code": "EUR"},
                "status": "Paid",
            }

    def change(self, number: int, at: int) -> None:
        self.receipts[number] |= {"updated_timestamp": at, "status": "Completed"}

    def page(self, query: dict[str, str]) -> dict:
        least = int(query.get("min_last_modified", 0))
        found = [receipt for receipt in self.receipts.values() if receipt["updated_timestamp"] >= least]
        key = {"created": "created_timestamp", "updated": "updated_timestamp"}[query.get("sort_on", "created")]
        found.sort(
            key=lambda receipt: (receipt[key], receipt["receipt_id"]), reverse=query.get("sort_order", "desc") == "desc"
        )
        offset, limit = int(query.get("offset", 0)), min(int(query.get("limit", 25)), self.max_limit)
        return {"count": len(found), "results": [dict(receipt) for receipt in found[offset : offset + limit]]}

    def answer(self, path: str, headers: dict, query: dict[str, str]) -> tuple[int, dict, dict]:
        """The status, the headers and the body of an answer."""
        now = time.monotonic()
        while self.recent and self.recent[0] <= now - 1:
            self.recent.popleft()
        if len(self.recent) >= self.requests_per_second:
            return 429, {"Retry-After": "1"}, {"error": "Rate limit exceeded"}
        self.recent.append(now)
        if self.fails_every and (len(self.statuses) + 1) % self.fails_every == 0:
            return 500, {}, {"error": "Internal server error"}
        if headers.get("x-api-key") != API_KEY:
            return 403, {}, {"error": "Missing x-api-key header or client_id"}
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        if self.access_tokens.get(token, 0) < now:
            return 401, {}, {"error": "invalid_token"}
        if path != "/v3/application/shops/7/receipts":
            return 404, {}, {"error": "Resource not found"}
        page = self.page(query)
        self.asked.append(query)
        self.meanwhile(self)
        return 200, {}, page

    def grant(self, form: dict[str, str], authorization: str) -> tuple[int, dict, dict]:
        """A new access token for a refresh token, which is of no use then: the answer holds another."""
        client = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        if form.get("grant_type") == "refresh_token" and form.get("refresh_token") == self.refresh_token:
            self.refresh_token = f"refresh-canary-{len(self.access_tokens) + 1}"
            body = {"refresh_token": self.refresh_token}
        elif form.get("grant_type") == "client_credentials" and client == "k:client-canary":
            body = {}
        else:
            return 400, {}, {"error": "invalid_grant", "error_description": f"{form.get('refresh_token')} is used"}
        token = f"access-canary-{len(self.access_tokens) + 1}"
        self.access_tokens[token] = time.monotonic() + self.token_seconds
        return 200, {}, body | {"access_token": token, "token_type": "Bearer", "expires_in": int(self.token_seconds)}


@contextmanager
def serving(shop: Shop):
    """The address at which the shop answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            with shop.lock:
                status, headers, body = shop.answer(url.path, dict(self.headers), query)
                shop.statuses.append(status)
            self._send(status, headers, body)

        def do_POST(self):
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            with shop.lock:
                fields = {name: values[0] for name, values in form.items()}
                self._send(*shop.grant(fields, self.headers.get("Authorization", "")))

        def _send(self, status: int, headers: dict, body: dict) -> None:
            content = json.dumps(body, indent=1).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": len(content), **headers}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
