"""A real SMTP server in the test process, and messages to hand it."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from orchestration.warehouse import database, outbox


class Server:
    """Receives mail. A test says what it answers, by recipient and in turn, to RCPT or to DATA; then it accepts."""

    def __init__(self):
        self.received: list[Envelope] = []
        self.answers: dict[tuple[str, str], list[str]] = {}
        self.hangs = 0.0  # seconds, once the data are there

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options) -> str:
        if waiting := self.answers.get(("RCPT", address)):
            return waiting.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if waiting := self.answers.get(("DATA", envelope.rcpt_tos[0])):
            return waiting.pop(0)
        await asyncio.sleep(self.hangs)
        self.received.append(envelope)
        return f"250 taken as number {len(self.received)}"


@contextmanager
def listening(server: Server, **options) -> Iterator[str]:
    """The host and port at which the server listens, in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    controller = Controller(server, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        controller.stop()


@pytest.fixture
def smtp(monkeypatch) -> Iterator[Server]:
    """A running server, to which TIDEMARK_SMTP_URL points."""
    server = Server()
    with listening(server) as place:
        monkeypatch.setenv("TIDEMARK_SMTP_URL", f"smtp://{place}")
        yield server


@pytest.fixture
def smtps(monkeypatch, tmp_path) -> Iterator[tuple[Server, Path]]:
    """A running server that speaks TLS only, and its certificate, which nobody signed."""
    certificate, key = _certificate()
    (tmp_path / "certificate.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    server = Server()
    with listening(server, ssl_context=context) as place:
        monkeypatch.setenv("TIDEMARK_SMTP_URL", f"smtps://{place}")
        yield server, tmp_path / "certificate.pem"


def _certificate() -> tuple[bytes, bytes]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now, day = datetime.now(UTC), timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    return certificate.public_bytes(encoding), secret


class Receiver:
    """An HTTP server that keeps what it gets. A test says what it answers, in turn; then it accepts."""

    def __init__(self):
        self.received: list[tuple[str, dict, bytes]] = []
        self.answers: list[tuple[int, dict]] = []
        self.delay = 0.0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(receiver.delay)
                receiver.received.append((self.path, dict(self.headers), body))
                status, headers = receiver.answers.pop(0) if receiver.answers else (200, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.server.shutdown()
    one.server.server_close()


class Outbox:
    """The table of messages, as a test fills and reads it."""

    def __init__(self, connection: psycopg.Connection):
        self.connection = connection

    def add(self, subject: str = "Hello", to: str = "a@example.com", key: str | None = None) -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "Tidemark <tidemark@example.com>", to, subject
        message.set_content("Grüße, a line\n.a line that begins with a dot\n")
        outbox.enqueue(self.connection, message, topic="test", key=key or subject)

    def rows(self) -> list[dict]:
        return self.connection.execute("select * from ops.outbox order by created_at, recipient").fetchall()

    def make_due(self) -> None:
        """Let the time until the next attempt pass."""
        self.connection.execute("update ops.outbox set next_attempt_at = now() where status = 'pending'")


@pytest.fixture
def queue(warehouse) -> Iterator[Outbox]:
    with database.connect(rows=True, autocommit=True) as connection:
        yield Outbox(connection)
