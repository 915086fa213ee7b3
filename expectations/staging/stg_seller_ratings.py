"""Ratings of sellers."""

from expectations.declaration import Suite, holds

SUITE = Suite(
    table="staging.stg_seller_ratings",
    reads="staging.stg_seller_ratings_checked",
    columns=("occurred_at", "held_reason"),
    scope="days",
    time="occurred_at",
    expectations=holds("ratings of sellers"),
)
