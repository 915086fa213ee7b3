"""Probabilities that new rooms match, with the reasons."""

from expectations.declaration import Suite, between, no_rows, unique

SUITE = Suite(
    table="ml.room_scores",
    columns=("room_id", "as_of", "probability", "reasons", "model_id"),
    scope="newest load",
    time="load_id",
    expectations=(
        between("probability", 0, 1),
        unique("room_id", "model_id"),
        no_rows(
            "reasons are given",
            """select count(*) as scores
               from {batch} as judged
               where jsonb_typeof(reasons) is distinct from 'array' or reasons = '[]'
               having count(*) > 0""",
            description="Every score comes with at least one reason.",
            says="{scores:,} scores come without a reason",
        ),
    ),
)
