"""What experiments say, before anyone acts on it."""

from expectations.declaration import Suite, between, no_rows

SUITE = Suite(
    table="ml.experiment_results",
    columns=("experiment", "variant", "effect", "lo", "hi", "p_value", "sample_ratio_p_value", "decision"),
    scope="newest load",
    time="load_id",
    expectations=(
        between("p_value", 0, 1),
        between("sample_ratio_p_value", 0, 1),
        no_rows(
            "limits are in order",
            """select experiment, count(*) as comparisons
               from {batch} as judged
               where not (lo <= effect and effect <= hi)
               group by experiment
               order by experiment""",
            description="An effect lies between its limits.",
            says="{comparisons:,} effects of {experiment} lie outside of their own limits",
        ),
        no_rows(
            "what is decided is shown",
            """select experiment, count(*) as comparisons
               from {batch} as judged
               where decision = 'ship' and (lo is null or lo <= 0)
               group by experiment
               order by experiment""",
            description="Nothing is shipped whose interval holds zero.",
            says="{comparisons:,} variants of {experiment} are to be shipped without an effect above zero",
        ),
        no_rows(
            "people are split as intended",
            """select experiment, min(sample_ratio_p_value) as p_value
               from {batch} as judged
               where sample_ratio_p_value < 0.01
               group by experiment
               order by experiment""",
            description="The variants have the shares of people that were intended.",
            says="people in {experiment} are not split as intended (p = {p_value:.2g})",
            severity="warning",
        ),
    ),
)
