"""Unusual access to personal data opens an incident; what somebody does every day opens none."""

from datetime import UTC, datetime, timedelta

import pytest

from orchestration.privacy.watch import watch
from orchestration.warehouse import audit, database

NOW = datetime(2026, 3, 20, 15, tzinfo=UTC)


@pytest.fixture
def read(warehouse, monkeypatch):
    """Write reads of an actor into the audit as if they had been at other times."""
    with database.connect() as connection:
        connection.execute("alter table ops.audit disable trigger all")

        def read(actor: str, at: datetime, table: str, rows: int) -> None:
            entry = audit.Jsonb({"personal": ["email"], "table": table, "rows": rows})
            connection.execute(
                """insert into ops.audit (audit_id, at, actor, action, subject, detail, hash)
                   select coalesce(max(audit_id), 0) + 1, %s, %s, 'export', 'x', %s, '' from ops.audit""",
                [at, actor, entry],
            )

        read.connection = connection
        for day in range(1, 15):
            for actor in ("ada", "bob"):
                read(actor, NOW - timedelta(days=day, hours=2), "api.learners", 300)
        yield read


def test_habits_open_nothing(read):
    read("ada", NOW - timedelta(hours=1), "api.learners", 500)
    read("new here", NOW - timedelta(hours=12), "api.customers", 90_000)
    assert watch(read.connection, NOW) == []


def test_more_rows_other_tables_and_odd_hours_open_one_each(read):
    read("ada", NOW - timedelta(hours=1), "api.learners", 9_000)
    read("bob", NOW - timedelta(hours=12), "api.customers", 5)
    sentences = watch(read.connection, NOW)
    assert sentences == [
        "ada read personal data otherwise than usual: 9,000 rows in a day, at most 300 before.",
        "bob read personal data otherwise than usual: for the first time api.customers; at 4:00, when they never did.",
    ]
    assert watch(read.connection, NOW) == []  # once
    found = read.connection.execute("select segment, severity, status from ops.incidents order by 1").fetchall()
    assert found == [("actor=ada", "critical", "open"), ("actor=bob", "critical", "open")]
