"""The audit's chain: whoever changes or takes away a row, even past the triggers, is found."""

import psycopg
import pytest

from orchestration.errors import TidemarkError
from orchestration.warehouse import audit, database


@pytest.fixture
def connection(warehouse):
    with database.connect() as connection:
        for what in ("api.orders", "api.users", "marts.user_daily"):
            audit.record(connection, "export", what, actor="ana", rows=10)
        yield connection


def test_what_is_written_is_read_back_and_holds(connection):
    rows = connection.execute("select audit_id, actor, action, subject, detail from ops.audit order by 1").fetchall()
    assert rows[1] == (2, "ana", "export", "api.users", {"rows": 10})
    assert audit.verify(connection) == 3


@pytest.mark.parametrize(
    "change", ["update ops.audit set actor = 'bob'", "delete from ops.audit", "truncate ops.audit"]
)
def test_a_row_is_not_changed_nor_taken_away(connection, change):
    with pytest.raises(psycopg.errors.RaiseException, match="only ever added to"), connection.transaction():
        connection.execute(change)
    assert audit.verify(connection) == 3


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ("update ops.audit set detail = '{\"rows\": 11}' where audit_id = 2", 2),
        ("delete from ops.audit where audit_id = 1", 2),
        ("delete from ops.audit where audit_id = 2", 3),
        ("update ops.audit set at = at + interval '1 microsecond' where audit_id = 3", 3),
    ],
)
def test_who_goes_past_the_triggers_is_found(connection, change, row):
    connection.execute("alter table ops.audit disable trigger user")
    connection.execute(change)
    with pytest.raises(TidemarkError, match=f"row {row} "):
        audit.verify(connection)


def test_writers_side_by_side_make_one_chain(connection):
    connection.commit()
    with database.connect() as other:
        audit.record(other, "export", "api.items")
        with pytest.raises(psycopg.errors.QueryCanceled), connection.transaction():
            connection.execute("set local statement_timeout = 200")
            audit.record(connection, "export", "api.late")  # waits for the other's commit
        other.commit()
    audit.record(connection, "export", "api.late")
    assert audit.verify(connection) == 5
