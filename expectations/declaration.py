"""The words in which a suite is declared. Declaring is cheap: only `validation` imports Great Expectations.

Every expectation names the Great Expectations class that judges it, so whatever that library can judge can be declared.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning"]  # an error holds back what stands downstream; a warning is reported


@dataclass(frozen=True)
class Expectation:
    """One thing that must be true of a table's rows.

    `says` is what is told when it is not, without the table's name and a full stop. It is filled in by `str.format`:
    for an expectation about values with `unexpected`, `rows`, `percent` and `examples`; for one about rows (a query
    that should return none) with the columns of each row that it returned. These columns must hold nothing personal.
    """

    name: str
    type: str
    description: str
    says: str
    severity: Severity = "error"
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def column(self) -> str | None:
        return self.arguments.get("column")


@dataclass(frozen=True)
class Suite:
    """What must be true of one table.

    `columns` are those that the expectations read; a gate copies no others. `time` is the column that places a row in
    time, and `scope` what a gate judges of a table that changed: the hours that were touched, the whole days in which
    they lie (for shares by day, and parts that sum to a day), or the rows of the newest load. `reads` is the relation
    that its rows are read from, where the table itself leaves out what it holds.
    """

    table: str
    columns: tuple[str, ...]
    scope: Literal["hours", "days", "newest load"]
    time: Literal["occurred_at", "hour", "day", "week", "start_date", "load_id"]
    expectations: tuple[Expectation, ...]
    reads: str | None = None

    @property
    def relation(self) -> str:
        return self.reads or self.table


def never_null(column: str, severity: Severity = "error") -> Expectation:
    return Expectation(
        name=f"{column} is present",
        type="ExpectColumnValuesToNotBeNull",
        description=f"Every row has {column}.",
        says=f"{column} is missing in {{unexpected:,}} of {{rows:,}} rows",
        severity=severity,
        arguments={"column": column},
    )


def between(column: str, low: float | str, high: float | None = None, severity: Severity = "error") -> Expectation:
    """Every value lies in low..high, both included. Without `high` there is no upper bound; a time is in ISO 8601."""
    limits = f"in {low}..{high}" if high is not None else f"at least {low}"
    fault = f"lie outside {low}..{high}" if high is not None else f"are below {low}"
    return Expectation(
        name=f"{column} {limits}",
        type="ExpectColumnValuesToBeBetween",
        description=f"Every {column} is {limits}.",
        says=f"{{unexpected:,}} of {{rows:,}} values of {column} {fault}{{examples}}",
        severity=severity,
        arguments={"column": column, "min_value": low, "max_value": high},
    )


def one_of(column: str, values: tuple[str, ...], severity: Severity = "error") -> Expectation:
    return Expectation(
        name=f"{column} is known",
        type="ExpectColumnValuesToBeInSet",
        description=f"Every {column} is one of {', '.join(values)}.",
        says=f"{{unexpected:,}} of {{rows:,}} values of {column} are none of {', '.join(values)}",
        severity=severity,
        arguments={"column": column, "value_set": list(values)},
    )


def matches(column: str, pattern: str, meaning: str, severity: Severity = "error") -> Expectation:
    return Expectation(
        name=f"{column} is {meaning}",
        type="ExpectColumnValuesToMatchRegex",
        description=f"Every {column} is {meaning}.",
        says=f"{{unexpected:,}} of {{rows:,}} values of {column} are not {meaning}",
        severity=severity,
        arguments={"column": column, "regex": pattern},
    )


def not_zero(column: str, severity: Severity = "error") -> Expectation:
    return Expectation(
        name=f"{column} is not zero",
        type="ExpectColumnValuesToNotBeInSet",
        description=f"No {column} is zero.",
        says=f"{{unexpected:,}} of {{rows:,}} values of {column} are zero",
        severity=severity,
        arguments={"column": column, "value_set": [0]},
    )


def not_empty(severity: Severity = "error") -> Expectation:
    return Expectation(
        name="not empty",
        type="ExpectTableRowCountToBeBetween",
        description="Where events came, there are rows.",
        says="it has no rows for the hours in which events came",
        severity=severity,
        arguments={"min_value": 1},
    )


def no_rows(name: str, query: str, description: str, says: str, severity: Severity = "error") -> Expectation:
    """A query over `{batch} as judged` that returns a row for each thing that is wrong. Braces of SQL are doubled."""
    return Expectation(
        name=name,
        type="UnexpectedRowsExpectation",
        description=description,
        says=says,
        severity=severity,
        arguments={"unexpected_rows_query": query},
    )


def not_finite(*columns: str) -> str:
    """The SQL condition that any of the columns is NaN or infinite."""
    return " or ".join(f"{column} in ('NaN', 'Infinity', '-Infinity')" for column in columns)


def unique(*columns: str) -> Expectation:
    """No two rows have the same key. Said with numbers only: a key may name a person."""
    key = ", ".join(columns)
    return no_rows(
        f"{key} is unique",
        f"""select count(*) as keys, sum(copies) as rows
            from (select count(*) as copies from {{batch}} as judged group by {key} having count(*) > 1) as repeated
            having count(*) > 0""",
        f"No two rows have the same {key}.",
        f"{{rows:,}} rows share {{keys:,}} values of ({key}), which must be unique",
    )


def share_by_day(
    name: str,
    condition: str,
    *,
    things: str,
    fault: str,
    time: str = "occurred_at",
    allowed: float = 0.01,
    at_least: int = 20,
    severity: Severity = "error",
) -> Expectation:
    """Of no day with `at_least` rows, a larger share than `allowed` meets the condition (SQL over the columns).

    By day, because a day that is all wrong hides in the total of ninety. `things` and `fault` make the sentence:
    "40.0 % of the 312 <scores> of 2026-03-02 <lie outside 0..100> (allowed: 1 %)".
    """
    limit = f"{100 * allowed:g} %"
    return no_rows(
        name,
        f"""select day, count(*) as rows, count(*) filter (where is_wrong) as wrong,
                   100.0 * count(*) filter (where is_wrong) / count(*) as percent
            from (
                select ops.day_of({time}, ops.timezone()) as day, coalesce({condition}, false) as is_wrong
                from {{batch}} as judged
            ) as days
            group by day
            having count(*) >= {at_least} and count(*) filter (where is_wrong) > {allowed} * count(*)
            order by day""",
        f"Of no day's {things} (from {at_least} on), more than {limit} {fault}.",
        f"{{percent:.1f}} % of the {{rows:,}} {things} of {{day}} {fault} (allowed: {limit})",
        severity,
    )


def holds(things: str) -> tuple[Expectation, ...]:
    """For a staging model that holds what cannot be true: told by reason, an error from a fifth of a day on."""
    return (
        no_rows(
            "held by reason",
            """select held_reason, count(*) as rows
               from {batch} as judged
               where held_reason is not null
               group by held_reason
               order by rows desc, held_reason""",
            description=f"No {things} are held.",
            says=f"{{rows:,}} {things} are held ({{held_reason}})",
            severity="warning",
        ),
        share_by_day(
            "held by day", "held_reason is not null", things=things, fault="cannot be true and are held", allowed=0.2
        ),
    )
