"""Whatever stands in a report follows from rows that its recipient's role can select: 50 random access lists."""

import random
import re
from dataclasses import replace

import psycopg
from psycopg.rows import dict_row

from orchestration.reports import definitions, snapshot, template
from orchestration.settings import Report
from tests.access.test_access import BOSS, random_scope

LISTS = 50


def copied(own: psycopg.Connection, admin: psycopg.Connection, relations: list[str]) -> None:
    """Have the schema `seen` hold the rows that a session can select of relations of `api`, and nothing else."""
    admin.execute("drop schema if exists seen cascade; create schema seen")
    for relation in relations:
        name = relation.removeprefix("api.")
        admin.execute(f"create table seen.{name} (like api.{name})")
        with (
            own.cursor().copy(f"copy (select * from {relation}) to stdout") as rows,
            admin.cursor().copy(f"copy seen.{name} from stdin") as copy,
        ):
            for block in rows:
                copy.write(block)


def told(seen: snapshot.Snapshot, asked: snapshot.Asked, admin: psycopg.Connection) -> dict[str, list[dict]]:
    """The rows that the report's queries find in the copy."""
    known = {"grain": seen.period.grain, "first_day": seen.period.first, "last_day": seen.period.last, "reads": []}
    known |= {"metrics": list(asked.metrics), "lead": asked.metrics[0] if asked.metrics else None, "sent": "[]"}
    known |= {"is_of_all_metrics": asked.is_of_all_metrics} | dict(asked.parameters)
    cursor = admin.cursor(row_factory=dict_row)
    return {name: cursor.execute(re.sub(r"\bapi\.", "seen.", query), known).fetchall() for name, query in asked.queries}


def same(rows: list[dict]) -> list[str]:
    return sorted(repr(list(row.items())) for row in rows)


def test_each_cell_of_a_report_is_selectable_by_its_recipients_role(guarded):
    rng = random.Random(11)
    readers = [{"login": f"recipient_{n}", "scope": random_scope(rng)} for n in range(LISTS)]
    guarded.grant([*readers, BOSS])
    names = template.names()
    asked = {
        name: definitions.asked(
            template.read(name), name, Report(template=name, cron="0 7 * * 1", recipients=["a@example.com"])
        )
        for name in names
    }
    everybody = {name: snapshot.take(replace(asked[name], login="boss")).rows for name in names}
    cells, narrowed = 0, 0
    for number, reader in enumerate(readers):
        name = names[number % len(names)]
        mine = replace(asked[name], login=reader["login"])
        seen = snapshot.take(mine)
        with guarded.as_login(reader["login"]) as own:
            copied(own, guarded.admin, snapshot._relations(mine.queries))
        expected = told(seen, mine, guarded.admin)
        for query, rows in seen.rows.items():
            assert same(rows) == same(expected[query]), (reader["scope"], name, query)
            cells += sum(map(len, rows))
            narrowed += len(rows) < len(everybody[name][query])
    guarded.admin.execute("drop schema seen cascade")
    assert cells > 1_000 and narrowed > 100  # there was something to see, and something to hide
