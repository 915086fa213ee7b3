"""How each piece of content was used on each day."""

from expectations.declaration import Suite, between, never_null, unique

SUITE = Suite(
    table="marts.content_item_daily",
    columns=("content_id", "day", "views", "starts", "completions", "ratings", "rating_sum"),
    scope="days",
    time="day",
    expectations=(
        never_null("content_id"),
        unique("content_id", "day"),
        between("views", 0),
        between("starts", 0),
        between("completions", 0),
        between("ratings", 0),
        never_null("rating_sum"),
    ),
)
