"""What each learner practised on each day."""

from expectations.declaration import Suite, between, no_rows, unique

SUITE = Suite(
    table="marts.learning_daily",
    columns=("day", "user_id", "class_id", "skill", "activities", "scored", "score_sum", "learning_seconds"),
    scope="days",
    time="day",
    expectations=(
        unique("day", "user_id", "class_id", "skill"),
        between("activities", 1),
        between("learning_seconds", 0),
        no_rows(
            "scores fit their number",
            """select count(*) as rows from {batch} as judged
               where scored not between 0 and activities or score_sum not between 0 and 100 * scored
               having count(*) > 0""",
            "No more lessons are scored than completed, and scores average 0 to 100.",
            "in {rows:,} rows scores and lessons do not fit each other",
            "warning",
        ),
    ),
)
