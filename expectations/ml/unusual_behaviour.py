"""How unusual users, sellers and rooms are among their like. Sentences speak of numbers, never of a person."""

from expectations.declaration import Suite, between, no_rows, unique

SUITE = Suite(
    table="ml.unusual_behaviour",
    columns=("kind", "entity_id", "as_of", "score", "is_anomaly", "reasons"),
    scope="newest load",
    time="load_id",
    expectations=(
        between("score", 0, 1),
        unique("kind", "entity_id"),
        no_rows(
            "few are unusual",
            """select kind, count(*) filter (where is_anomaly) as unusual, count(*) as judged
               from {batch} as judged
               group by kind
               having count(*) >= 50 and count(*) filter (where is_anomaly) > count(*) / 5.0""",
            description="At most a fifth of a kind can be unlike the others.",
            says="{unusual:,} of {judged:,} {kind}s are called unusual",
            severity="warning",
        ),
    ),
)
