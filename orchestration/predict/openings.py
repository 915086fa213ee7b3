"""Rooms as they were six minutes after their creation, and whether they matched within a day. Nothing learns here."""

from typing import TYPE_CHECKING

import psycopg

from orchestration.predict.inputs import SQL

if TYPE_CHECKING:
    import pandas as pd

HORIZON_HOURS = 24
WEEKS = 12  # of rooms that are learned from
FEATURES = (
    "members",
    "seconds_since_joined",
    "seconds_since_started",
    "votes",
    "items",
    "votes_per_member",
    "in_favour_rate",
    "votes_against",
)


def known(connection: psycopg.Connection) -> "tuple[pd.DataFrame, pd.Series]":
    """Rooms whose day is over: FEATURES at their cut-off, indexed by week and room, and 1 for those that matched.

    A week (`cutoff`, the first day of it) is counted back from the newest complete hour.
    """
    frame = _read(connection).dropna(subset="has_matched").set_index(["cutoff", "room_id"])
    return frame[list(FEATURES)].astype(float), frame["has_matched"].astype(int)


def recent(connection: psycopg.Connection) -> "pd.DataFrame":
    """Rooms of the newest week, indexed by room: FEATURES, and cutoff_at, the time at which they were so."""
    frame = _read(connection)
    frame = frame[frame["weeks_ago"] == 0].set_index("room_id")
    return frame[["cutoff_at"]].join(frame[list(FEATURES)].astype(float))


def _read(connection: psycopg.Connection) -> "pd.DataFrame":
    import pandas as pd

    parameters = {"weeks": WEEKS, "hours": HORIZON_HOURS}
    cursor = connection.execute((SQL / "room_openings.sql").read_text(), parameters)
    return pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description])
