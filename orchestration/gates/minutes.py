"""The gate of the fast lane, which has seconds and not minutes: the same expectations, over the newest minutes only.

Great Expectations takes longer to import than the fast lane may take. Those error-level expectations of staging that
are queries for wrong rows are asked here as plain SQL, of the minutes that no full gate has judged yet. The full gates
of the hourly refresh judge everything, and what they hold is held here too.
"""

import psycopg
from psycopg.rows import dict_row

from expectations import Suite, suites
from orchestration.gates.gates import gate_name
from orchestration.warehouse import marks


def why_held(connection: psycopg.Connection, after: int, up_to: int) -> list[str]:
    """A sentence for each reason not to publish the minutes that the loads in (after, up_to] touched; none: publish.

    `connection` is in no transaction, and its rows are tuples.
    """
    held = "select sentence from ops.held_tables where table_name ~ '^(raw|staging)[.]' order by table_name"
    sentences = [sentence for (sentence,) in connection.execute(held)]
    for suite in _staging():
        judged = marks.mark(connection, gate_name(suite.table))
        sentences += _faults(connection, suite, max(after, judged), up_to)
    connection.commit()
    return sentences


def _staging() -> list[Suite]:
    return [suite for suite in suites().values() if suite.table.startswith("staging.")]


def _faults(connection: psycopg.Connection, suite: Suite, after: int, up_to: int) -> list[str]:
    """What a suite's queries find in the minutes touched by the loads in (after, up_to]."""
    expectations = [
        expectation
        for expectation in suite.expectations
        if expectation.severity == "error" and expectation.type == "UnexpectedRowsExpectation"
    ]
    if not expectations or after >= up_to:
        return []
    columns = ", ".join(f"rows.{column}" for column in suite.columns)
    sentences = []
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "select set_config('tidemark.after', %s::text, true), set_config('tidemark.up_to', %s::text, true)",
            [after, up_to],
        )
        cursor.execute(
            f"""create temp table judged_minutes on commit drop as
                select {columns} from ops.touched_minutes as touched
                cross join lateral (
                    select * from {suite.relation}
                    where occurred_at >= touched.minute and occurred_at < touched.minute + interval '1 minute'
                    offset 0
                ) as rows"""
        )
        for expectation in expectations:
            query = expectation.arguments["unexpected_rows_query"].format(batch="judged_minutes")
            sentences += [f"{suite.table}: {expectation.says.format(**row)}" for row in cursor.execute(query)]
    return sentences
