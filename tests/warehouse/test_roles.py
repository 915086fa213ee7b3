"""Every session of a stage begins as the stage's role; but erasing goes through all that there is, as the operator. And
what the roles are granted is granted while the tables are in use."""

import ast
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg

from orchestration.settings import ROOT
from orchestration.warehouse import access

STAGES = ("ingest", "transform", "gates", "predict", "alerts", "outbox", "reports", "privacy")


def test_each_stage_connects_as_its_own_role():
    roles: dict[str, set] = {}
    for stage in STAGES:
        for path in sorted((ROOT / "orchestration" / stage).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in ("database.connect", "database.url"):
                    named = ast.walk(node.args[0]) if node.args else ()
                    said = {one.value for one in named if isinstance(one, ast.Constant)}
                    assert said <= {*access.STAGES}, f"{path}:{node.lineno} says which role it connects as"
                    assert said or stage == "privacy", f"{path}:{node.lineno} says which role it connects as"
                    roles.setdefault(stage, set()).update(said)
    assert roles["ingest"] == {"loader"} and roles["transform"] == roles["gates"] == {"transformer"}
    assert roles["predict"] == {"ml"} and roles["privacy"] == {"eraser"}
    assert roles["alerts"] | roles["outbox"] | roles["reports"] == {"report"}


def test_grants_wait_for_an_autovacuum_and_do_not_deadlock_with_it(dbt, warehouse):
    """What an autovacuum does to a table, by hand: it locks the table, and then changes its row in pg_class."""

    def grant() -> None:
        with psycopg.connect(warehouse) as connection:
            connection.execute("select ops.grant_all('{}')")

    with psycopg.connect(warehouse) as vacuum, psycopg.connect(warehouse, autocommit=True) as watch:
        watch.execute("revoke select on marts.sessions from pipeline")
        vacuum.execute("lock table marts.sessions in share update exclusive mode")
        with ThreadPoolExecutor(1) as pool:
            granting = pool.submit(grant)
            waiting = "select exists (select from pg_locks where not granted and relation = 'marts.sessions'::regclass)"
            while not granting.done() and not watch.execute(waiting).fetchone()[0]:
                time.sleep(0.01)
            vacuum.execute("alter table marts.sessions set (fillfactor = 90)")
            vacuum.commit()
            granting.result()
        assert watch.execute("select has_table_privilege('pipeline', 'marts.sessions', 'select')").fetchone()[0]
