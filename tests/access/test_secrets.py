"""Keys, passwords and tokens, planted as canaries where they may stand: whatever fails, none of them is told."""

import json
import logging
from email.message import EmailMessage

import psycopg
import pytest

from orchestration import doctor
from orchestration.errors import TidemarkError
from orchestration.ingest import loader
from orchestration.outbox.delivery import deliver
from orchestration.settings import ROOT
from orchestration.warehouse import database, outbox

SECRETS = {
    name: f"canary{number}x{number * 7919:08x}"
    for number, name in enumerate(
        ["TIDEMARK_SECRET_KEY", "API_TOKEN", "API_KEY", "REDIS_PASSWORD", "PG_PASSWORD", "SLACK_TOKEN", "SMTP_PASSWORD",
         "DB_PASSWORD"], 1
    )
}  # fmt: skip
SOURCES = """
sources:
  api:
    format: json
    every: PT1H
    http:
      url: http://127.0.0.1:1/events?token=${API_TOKEN}
      headers: [{name: x-api-key, value: '${API_KEY}'}]
      cursor: {field: at, parameter: since, overlap: PT1S}
    mapping: {event_id: id, event_type: {value: order_seen}, occurred_at: at}
  stream: {every: PT1H, redis: {url: 'redis://:${REDIS_PASSWORD}@127.0.0.1:1/0', stream: events}}
  table:
    format: json
    every: PT1H
    postgres: {url: 'postgresql://reader:${PG_PASSWORD}@127.0.0.1:1/shop', table: public.orders, cursor: id, key: [id]}
    mapping: {event_id: id, event_type: {value: order_seen}, occurred_at: at}
"""


@pytest.fixture
def planted(warehouse, home, tmp_path, monkeypatch):
    """Sources, a channel and a mail server that do not answer, each with a secret of its own."""
    config = tmp_path / "config"
    config.mkdir()
    for path in (ROOT / "config").glob("*.yml"):
        (config / path.name).write_text(path.read_text())
    (config / "sources.yml").write_text(SOURCES)
    channels = {"chat": {"kind": "slack", "url": "${SLACK_URL}"}}
    (config / "alerts.yml").write_text(json.dumps({"channels": channels, "rules": {}}))
    monkeypatch.setenv("TIDEMARK_CONFIG", str(config))
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLACK_URL", f"http://127.0.0.1:1/services/{SECRETS['SLACK_TOKEN']}")
    monkeypatch.setenv("TIDEMARK_SMTP_URL", f"smtp://mailer:{SECRETS['SMTP_PASSWORD']}@127.0.0.1:1")
    return warehouse


def told_by(act) -> str:
    """What an error says, with all that led to it, as a traceback or a log would show it."""
    try:
        return str(act())
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not tell
        parts = []
        while error:
            parts += [repr(error), str(error)]
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\n".join(parts)


def test_no_secret_is_in_any_log_row_file_or_error(planted, home, monkeypatch, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    told = [json.dumps(doctor.examine(), default=str)]
    told += [told_by(lambda name=name: loader.ingest(name)) for name in ("api", "stream", "table")]
    mail = EmailMessage()
    mail["Subject"], mail["To"] = "hello", "ana@example.com"
    mail.set_content("hello")
    with database.connect("report") as connection:
        outbox.enqueue(connection, mail, topic="t", key="m")
        outbox.enqueue_payload(
            connection, "chat", lambda identity: {"message": "hello", "event": "opened"}, topic="t", key="c"
        )
    told.append(told_by(deliver))
    monkeypatch.setenv("TIDEMARK_DATABASE_URL", f"postgresql://ana:{SECRETS['DB_PASSWORD']}@127.0.0.1:1/tidemark")
    database.forget()
    with pytest.raises(TidemarkError, match="cannot be reached") as raised:
        database.url()
    told += [str(raised.value), told_by(database.url)]
    monkeypatch.setenv("TIDEMARK_DATABASE_URL", f"postgresql://ana:{SECRETS['DB_PASSWORD']}@[:1/tidemark")
    told += [told_by(database.url), told_by(database.name), json.dumps(doctor.examine(), default=str)]
    told += [caplog.text, *capfd.readouterr()]
    told += [
        path.read_text(errors="replace") for path in home.rglob("*") if path.is_file() and path.name != "secret.key"
    ]
    with psycopg.connect(planted) as connection:
        query = """select oid::regclass::text from pg_class
                   where relkind = 'r' and relnamespace::regnamespace::text ~ '^(raw|ops|ml|marts)$'"""
        for (table,) in connection.execute(query).fetchall():
            told += [row for (row,) in connection.execute(f"select known::text from {table} as known")]
        failures = connection.execute("select count(*) from ops.source_failures").fetchone()[0]
        unsent = connection.execute("select count(*) from ops.outbox where status <> 'sent'").fetchone()[0]
    assert (failures, unsent) == (3, 2), "each of them failed, and said so"
    found = {name for name, secret in SECRETS.items() for text in told if secret in text}
    assert found == set()
