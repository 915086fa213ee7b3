"""Files to load, and what stands in the warehouse afterwards."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestration.warehouse import database

ROOT = Path(__file__).resolve().parents[2]
BASE = datetime(2026, 3, 1, 10, tzinfo=UTC)


def event(number: int, **changes) -> dict:
    """A native event, one a minute, of which some fields may be changed."""
    return {
        "event_id": f"e{number}",
        "event_type": "lesson_completed",
        "occurred_at": (BASE + timedelta(minutes=number)).isoformat(),
        "user_id": f"u{number % 7}",
        "session_id": f"s{number % 3}",
        "properties": {"skill": "grammar", "score": number % 101},
    } | changes


@pytest.fixture
def write(tmp_path):
    """Write lines (bytes, text, or what becomes JSON) into a file, packed when its name ends in .gz."""

    def write(name: str, lines: list) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode()
            for line in lines
        ]
        content = b"".join(row + b"\n" for row in rows)
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


@pytest.fixture
def configure(tmp_path, monkeypatch):
    """Put a configuration in place of the shipped one: a tenant in UTC, and these sources, as YAML."""

    def configure(sources: str) -> Path:
        folder = tmp_path / "config"
        folder.mkdir(exist_ok=True)
        (folder / "tenant.yml").write_text("name: Test\n")
        (folder / "sources.yml").write_text(sources)
        for name in ("alerts.yml", "reports.yml", "contract.yml"):
            (folder / name).write_text((ROOT / "config" / name).read_text())
        monkeypatch.setenv("TIDEMARK_CONFIG", str(folder))
        return folder

    return configure


@pytest.fixture
def query(warehouse):
    def query(statement: str, *values) -> list[tuple]:
        with database.connect() as connection:
            return connection.execute(statement, values or None).fetchall()

    return query


@pytest.fixture
def content(query):
    """All of `raw.events` that does not depend on when and in which load it came."""
    return lambda: query(
        """select source, event_id, event_type, occurred_at, user_id, session_id, properties
           from raw.events order by source, event_id"""
    )
