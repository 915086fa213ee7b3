"""Expectations that every table of the long series shares, whatever its grain. Not a suite."""

from expectations.declaration import Expectation, Severity, never_null, no_rows, not_empty, not_finite, unique

# Parts of these sum to their whole: hours to days, and the segments of one dimension to `all`.
ADDITIVE = (
    "sessions",
    "events",
    "content_views",
    "content_completions",
    "lessons_completed",
    "learning_seconds",
    "rooms_created",
    "rooms_matched",
    "votes_cast",
    "units",
    "revenue",
    "transactions",
    "transaction_volume",
    "requests",
)
MONEY = ("revenue", "transaction_volume")  # `all` holds the tenant's currency alone
SIGNED = ("revenue", "units")  # returns may outweigh sales
# As odd as what events state: one odd value shows in its hour. A day of them fails in staging.
STATED = ("average_score", "learning_seconds", "transaction_volume", "latency_p50_ms", "latency_p95_ms")


def sql_list(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def figures(grain: str) -> tuple[Expectation, ...]:
    """What is true of `metric, segment, <grain>, value` for every metric; the names carry the units."""
    return (
        not_empty("warning"),
        never_null("metric"),
        never_null("segment"),
        never_null(grain),
        never_null("value"),
        unique("metric", "segment", grain),
        _range(grain, "values are finite", not_finite("value"), "are no finite number"),
        _range(grain, "rates in 0..1", "right(metric, 5) = '_rate' and value not between 0 and 1", "lie outside 0..1"),
        _range(
            grain,
            "counts are not negative",
            f"metric not in ({sql_list(SIGNED + STATED)}) and value < 0",
            "are negative",
        ),
        _range(
            grain,
            "measures are plausible",
            f"metric in ({sql_list(STATED)}) and (value < 0 or metric = 'average_score' and value > 100)",
            "are negative, or scores above 100",
            "warning",
        ),
    )


def _range(grain: str, name: str, condition: str, fault: str, severity: Severity = "error") -> Expectation:
    moment = "{first:%Y-%m-%d %H:%M} UTC" if grain == "hour" else "{first}"
    return no_rows(
        name,
        f"""select metric, count(*) as values, min({grain}) as first
            from {{batch}} as judged
            where {condition}
            group by metric
            order by metric""",
        description=f"In no metric, values {fault}.",
        says=f"{{values:,}} values of {{metric}} {fault}, the first at {moment}",
        severity=severity,
    )
