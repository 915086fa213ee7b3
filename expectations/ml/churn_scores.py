"""Probabilities that people leave, with the reasons. Sentences speak of numbers of scores, never of a person."""

from expectations.declaration import Suite, between, no_rows, unique

SUITE = Suite(
    table="ml.churn_scores",
    columns=("user_id", "as_of", "probability", "reasons", "model_id"),
    scope="newest load",
    time="load_id",
    expectations=(
        between("probability", 0, 1),
        unique("user_id", "as_of", "model_id"),
        no_rows(
            "reasons are given",
            """select count(*) as scores
               from {batch} as judged
               where jsonb_typeof(reasons) is distinct from 'array' or reasons = '[]'
               having count(*) > 0""",
            description="Every score comes with at least one reason.",
            says="{scores:,} scores come without a reason",
        ),
        no_rows(
            "people differ",
            """select count(*) as scores, min(probability) as probability
               from {batch} as judged
               having count(*) >= 20 and min(probability) = max(probability)""",
            description="Not everybody is as likely to leave.",
            says="all {scores:,} people have the same probability, {probability:.3f}",
            severity="warning",
        ),
    ),
)
