"""Rooms whose newest event lies on a touched day."""

from expectations.declaration import Suite, between, no_rows, one_of, unique

SUITE = Suite(
    table="marts.rooms",
    columns=(
        *("room_id", "day", "state", "members", "voters", "votes", "paused_seconds", "is_contradictory"),
        *("waiting_seconds", "seconds_to_match", "active_seconds", "consensus_rate", "consensus_strength"),
    ),
    scope="days",
    time="day",
    expectations=(
        unique("room_id"),
        one_of("state", ("created", "started", "paused", "completed", "abandoned")),
        between("paused_seconds", 0),
        between("consensus_rate", 0, 1),
        between("consensus_strength", 0, 1),
        no_rows(
            "voters are members",
            """select count(*) as rooms from {batch} as judged where voters > members having count(*) > 0""",
            "No room has more voters than members.",
            "{rooms:,} rooms have more voters than members",
        ),
        no_rows(
            "times are in order",
            "select count(*) as rooms from {batch} as judged where is_contradictory having count(*) > 0",
            "No room ends before it starts.",
            "{rooms:,} rooms end before they start, or the like, and have no durations",
            "warning",
        ),
        between("waiting_seconds", 0),
        between("seconds_to_match", 0),
        between("active_seconds", 0),
    ),
)
