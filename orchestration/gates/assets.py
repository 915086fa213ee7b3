"""The gates as blocking asset checks, one for every suite. What a gate does is in `gates`."""

import dagster as dg

from expectations import GateResult, Suite, suites
from orchestration.gates.gates import judge
from orchestration.warehouse import database


def gate(suite: Suite) -> dg.AssetChecksDefinition:
    """A check that stops everything downstream of its table when an error-level expectation is not met."""

    @dg.asset_check(
        asset=dg.AssetKey(suite.table.split(".")),
        name="gate",
        blocking=True,
        description=f"What must be true of {suite.table}: {len(suite.expectations)} expectations, over what changed.",
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        with database.connect("transformer") as connection:
            result = judge(connection, suite, context.run.run_id)
        return outcome(result)

    return check


def outcome(result: GateResult | None) -> dg.AssetCheckResult:
    """What Dagster shows: only an ERROR that did not pass blocks, so a warning is told and lets the rest go on."""
    if result is None:
        return dg.AssetCheckResult(passed=True, description="Nothing changed since it last passed.")
    return dg.AssetCheckResult(
        passed=result.status == "passed",
        severity=dg.AssetCheckSeverity.ERROR if result.status == "failed" else dg.AssetCheckSeverity.WARN,
        description=". ".join(result.sentences) or None,
        metadata={"rows": result.rows, "expectations": dg.MetadataValue.md(markdown(result))},
    )


def markdown(result: GateResult) -> str:
    """A table with a line for each expectation: what is expected, and what was observed."""
    lines = ["| | expectation | severity | observed |", "| --- | --- | --- | --- |"]
    for one in result.results:
        mark = "✓" if one.success else "✗" if one.severity == "error" else "!"
        cells = (mark, one.description, one.severity, one.says or one.observed)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


asset_checks = [gate(suite) for suite in suites().values()]
