"""Runs a suite over a table with Great Expectations. What is expected is not said here."""

import os
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from expectations.declaration import Expectation, Suite
from expectations.result import ExpectationResult, GateResult

EXAMPLES = 3


def validate(suite: Suite, table: str, connection: str, rows: str | None = None) -> GateResult:
    """Judge the rows of `table` by `suite`.

    `connection` is the URL of a PostgreSQL database, `postgresql://…`. `rows` is a SELECT of the rows to judge, with
    the columns that the suite names; without it the whole table is judged. The rows are copied into a temporary table,
    so that all expectations see the same ones; nothing else is written, neither in the database nor on disk.

    Raises ValueError when the rows cannot be read, or an expectation cannot be evaluated over them.
    """
    gx = _great_expectations()
    from sqlalchemy.exc import SQLAlchemyError

    context = _context(gx)
    source = context.data_sources.add_postgres(
        "warehouse",
        connection_string=_sqlalchemy_url(connection),
        create_temp_table=True,
        kwargs={"pool_size": 1, "max_overflow": 0, "connect_args": {"options": "-c timezone=UTC"}},
    )
    try:
        batch = source.add_query_asset("rows", query=rows or f"select {', '.join(suite.columns)} from {table}")
        definition = gx.ValidationDefinition(
            name=table,
            data=batch.add_batch_definition_whole_table("judged"),
            suite=context.suites.add(gx.ExpectationSuite(name=table, expectations=_judges(suite.expectations))),
        )
        outcome = context.validation_definitions.add(definition).run(
            result_format={"result_format": "SUMMARY", "partial_unexpected_count": EXAMPLES}
        )
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise ValueError(f"{table} cannot be judged ({reason}): build it before its gate.") from error
    finally:
        source.get_execution_engine().engine.dispose()
        source.get_engine().dispose()
    found = {result.expectation_config.meta["name"]: result for result in outcome.results}
    count = found.pop("rows").result["observed_value"]
    results = tuple(_result(table, expectation, found[expectation.name]) for expectation in suite.expectations)
    return GateResult(table, count, results)


@cache
def _great_expectations() -> Any:
    """Great Expectations without its telemetry. Importing it takes seconds: only a gate that judges does."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations

    return great_expectations


def _context(gx: Any) -> Any:
    """A context that keeps everything in memory, builds no documentation, and draws no progress bars."""
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    return gx.get_context(mode="ephemeral", project_config=config)


@cache
def _rows_expectation() -> type:
    """`UnexpectedRowsExpectation` that tells the first rows that it found, not only their number."""
    import great_expectations.expectations as gxe

    class UnexpectedRows(gxe.UnexpectedRowsExpectation):
        def _validate(self, metrics, runtime_configuration=None, execution_engine=None):
            count = metrics["unexpected_rows_query.row_count"]
            rows = metrics["unexpected_rows_query.table"][:EXAMPLES]
            return {"success": count == 0, "result": {"observed_value": count, "unexpected_rows": rows}}

    return UnexpectedRows


def _judges(expectations: Iterable[Expectation]) -> list[Any]:
    """The Great Expectations objects of the declared ones, and one that counts the rows."""
    import great_expectations.expectations as gxe

    judges = [gxe.ExpectTableRowCountToBeBetween(min_value=0, meta={"name": "rows"})]
    for expectation in expectations:
        of_rows = expectation.type == "UnexpectedRowsExpectation"
        judge = _rows_expectation() if of_rows else getattr(gxe, expectation.type)
        severity = "critical" if expectation.severity == "error" else "warning"
        judges.append(judge(**expectation.arguments, severity=severity, meta={"name": expectation.name}))
    return judges


def _sqlalchemy_url(url: str) -> str:
    """The same database for SQLAlchemy with psycopg 3. Great Expectations insists on a host, though a socket's folder
    in the query is what counts."""
    from sqlalchemy.engine import make_url

    parsed = make_url(url).set(drivername="postgresql+psycopg")
    return (parsed if parsed.host else parsed.set(host="localhost")).render_as_string(hide_password=False)


def _result(table: str, expectation: Expectation, outcome: Any) -> ExpectationResult:
    if reason := _exception(outcome.exception_info):
        raise ValueError(f"{table}: '{expectation.name}' cannot be evaluated: {reason.strip().splitlines()[0]}")
    unexpected, observed, examples, says = _reading(expectation, outcome.result)
    return ExpectationResult(
        name=expectation.name,
        column=expectation.column,
        description=expectation.description,
        severity=expectation.severity,
        success=outcome.success,
        observed=observed,
        unexpected=unexpected,
        examples=() if outcome.success else tuple(examples),
        says=None if outcome.success else says,
    )


def _reading(expectation: Expectation, result: dict[str, Any]) -> tuple[int, str, list[str], str]:
    """How much was unexpected, what was observed, examples, and the sentence."""
    if "unexpected_rows" in result:
        count = result["observed_value"]
        said = [expectation.says.format(**row) for row in result["unexpected_rows"]]
        more = [f"and {count - len(said):,} more"] if count > len(said) else []
        return count, "none" if not count else f"{count:,} found", said, "; ".join(said + more)
    if "observed_value" in result:
        count = result["observed_value"]
        return 0, f"{count:,}", [], expectation.says
    unexpected = result["unexpected_count"] or 0  # None when there are no rows
    rows = result["element_count"] - (result.get("missing_count") or 0)
    examples = [_text(value) for value in result["partial_unexpected_list"] if _is_impersonal(value)]
    says = expectation.says.format(
        unexpected=unexpected,
        rows=rows,
        percent=100 * unexpected / rows if rows else 0.0,
        examples=f", such as {', '.join(examples)}" if examples else "",
    )
    return unexpected, f"{unexpected:,} of {rows:,}", examples, says


def _is_impersonal(value: Any) -> bool:
    return isinstance(value, int | float | Decimal | date) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return str(value) if isinstance(value, date) else f"{value:g}"


def _exception(info: dict[str, Any]) -> str | None:
    """Why an expectation was not evaluated: told directly, or once for each of the metrics that it needs."""
    if "raised_exception" in info:
        return info["exception_message"] if info["raised_exception"] else None
    return next(iter(info.values()))["exception_message"]
