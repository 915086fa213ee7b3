"""What people, rooms and sellers are recommended. Sentences speak of numbers of recommendations, never of a person."""

from expectations.declaration import Suite, no_rows, not_finite, one_of

SUITE = Suite(
    table="ml.recommendations",
    columns=("kind", "subject_id", "place", "item_id", "score", "source", "reason"),
    scope="newest load",
    time="load_id",
    expectations=(
        one_of("kind", ("content", "lessons", "products", "room_content", "seller_products")),
        no_rows(
            "nothing is recommended twice",
            """select kind, count(*) as items
               from (
                   select kind from {batch} as judged group by kind, subject_id, item_id having count(*) > 1
               ) as repeated
               group by kind
               order by kind""",
            description="Nobody is recommended the same thing twice.",
            says="{items:,} things are recommended twice to the same subject for {kind}",
        ),
        no_rows(
            "places are complete",
            """select kind, count(*) as subjects
               from (
                   select kind from {batch} as judged group by kind, subject_id having max(place) <> count(*)
               ) as broken
               group by kind
               order by kind""",
            description="Places count from 1 without a gap.",
            says="the places of {subjects:,} subjects have gaps for {kind}",
        ),
        no_rows(
            "scores are finite",
            f"""select kind, count(*) as scores
                from {{batch}} as judged
                where {not_finite("score")}
                group by kind
                order by kind""",
            description="Every score is a finite number.",
            says="{scores:,} scores are no finite number for {kind}",
        ),
        no_rows(
            "people differ",
            """select kind, count(distinct subject_id) as subjects
               from {batch} as judged
               where source <> 'popular'
               group by kind
               having count(distinct subject_id) >= 20 and count(distinct item_id) <= max(place)
               order by kind""",
            description="Not everybody of whom something is known is recommended the same.",
            says="all {subjects:,} subjects are recommended the same for {kind}",
            severity="warning",
        ),
    ),
)
