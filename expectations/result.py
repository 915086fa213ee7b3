"""What a gate found. Nothing here judges."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from expectations.declaration import Severity

Status = Literal["passed", "warned", "failed"]


@dataclass(frozen=True)
class ExpectationResult:
    """What came of one expectation. `says` is None when it was met; examples are never text, which may name people."""

    name: str
    column: str | None
    description: str
    severity: Severity
    success: bool
    observed: str
    unexpected: int
    examples: tuple[str, ...]
    says: str | None


@dataclass(frozen=True)
class GateResult:
    """What came of a suite: failed when an error-level expectation was not met, warned when only warnings were not."""

    table: str
    rows: int
    results: tuple[ExpectationResult, ...]

    @property
    def status(self) -> Status:
        unmet = {result.severity for result in self.results if not result.success}
        return "failed" if "error" in unmet else "warned" if unmet else "passed"

    @property
    def sentences(self) -> list[str]:
        """What is wrong, errors first: "staging.stg_lessons: 40.0 % of the 312 scores of 2026-03-02 …"."""
        unmet = sorted((result for result in self.results if not result.success), key=lambda one: one.severity)
        return [f"{self.table}: {result.says}" for result in unmet]

    def results_as_json(self) -> list[dict[str, Any]]:
        return [asdict(result) for result in self.results]
