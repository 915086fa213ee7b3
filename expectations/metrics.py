"""Expectations that every table of the long series shares, whatever its grain. Not a suite.

What kind of number a metric is, is said by the catalogue, `intermediate.int_metrics`.
"""

from expectations.declaration import Expectation, Severity, never_null, no_rows, not_empty, not_finite, unique


def figures(time: str, *key: str) -> tuple[Expectation, ...]:
    """What is true of `metric, segment, <time>, value` for every metric; `key` are further columns of the key."""
    return (
        not_empty("warning"),
        never_null("metric"),
        never_null("segment"),
        never_null(time),
        never_null("value"),
        unique("metric", "segment", *key, time),
        _range(time, "metrics are known", "metrics.unit is null", "are of no metric of the catalogue"),
        _range(time, "values are finite", not_finite("value"), "are no finite number"),
        _range(time, "rates in 0..1", "unit = 'rate' and value not between 0 and 1", "lie outside 0..1"),
        _range(time, "counts are not negative", "unit = 'count' and not is_signed and value < 0", "are negative"),
        _range(  # as odd as what events state: one odd value shows in its hour. A day of them fails in staging
            time,
            "measures are plausible",
            "unit not in ('count', 'rate') and not is_signed and value < 0 or unit = 'score' and value > 100",
            "are negative, or scores above 100",
            "warning",
        ),
    )


def _range(time: str, name: str, condition: str, fault: str, severity: Severity = "error") -> Expectation:
    moment = "{first:%Y-%m-%d %H:%M} UTC" if time == "hour" else "{first}"
    return no_rows(
        name,
        f"""select metric, count(*) as values, min({time}) as first
            from {{batch}} as judged
            left join intermediate.int_metrics as metrics using (metric)
            where {condition}
            group by metric
            order by metric""",
        description=f"In no metric, values {fault}.",
        says=f"{{values:,}} values of {{metric}} {fault}, the first at {moment}",
        severity=severity,
    )
