"""Scores of how unusual each hour or day was."""

from expectations.declaration import Suite, between, no_rows, not_finite

SUITE = Suite(
    table="ml.anomalies",
    columns=("series_id", "ds", "value", "score", "is_anomaly", "expected", "lo", "hi"),
    scope="newest load",
    time="load_id",
    expectations=(
        between("score", 0, 1),
        no_rows(
            "values are finite",
            f"""select series_id, count(*) as values
                from {{batch}} as judged
                where {not_finite("value", "score", "expected", "lo", "hi")}
                group by series_id
                order by series_id""",
            description="Every value, expectation and limit is a finite number.",
            says="{values:,} scored values of {series_id} are no finite number",
        ),
        no_rows(
            "limits are in order",
            """select series_id, count(*) as values
               from {batch} as judged
               where not (lo <= expected and expected <= hi)
               group by series_id
               order by series_id""",
            description="The expected value lies between its limits.",
            says="{values:,} expected values of {series_id} lie outside of their own limits",
        ),
        no_rows(
            "anomalies are rare",
            """select series_id, count(*) as rows, 100.0 * count(*) filter (where is_anomaly) / count(*) as percent
               from {batch} as judged
               group by series_id
               having count(*) >= 100 and count(*) filter (where is_anomaly) > 0.1 * count(*)
               order by series_id""",
            description="No series with 100 values or more is unusual more than a tenth of the time.",
            says="{percent:.1f} % of the {rows:,} values of {series_id} are called anomalies (allowed: 10 %)",
            severity="warning",
        ),
    ),
)
