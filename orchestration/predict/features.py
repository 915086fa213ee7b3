"""What is known of each person at a cut-off day, and what they did after it. The two never mix."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import psycopg

from orchestration.predict.inputs import SQL

if TYPE_CHECKING:
    import pandas as pd

HORIZON_DAYS = 14  # churned: no activity for so long after the cut-off
WINDOW_DAYS = 28  # only people active in so many days up to the cut-off are asked about
RECENCY = "days_since_last_seen"
FEATURES = (
    RECENCY,
    "tenure_days",
    "active_days_7",
    "active_days_28",
    "events_7",
    "events_28",
    "events_trend",
    "sessions_28",
    "lessons_completed_28",
    "average_score_28",
    "orders_28",
    "revenue_28",
)


def churn_features(connection: psycopg.Connection, cutoffs: Sequence[date]) -> "pd.DataFrame":
    """A row for each cut-off day and person active in the 28 days up to it, indexed by both, with FEATURES as columns.

    Reads no row of a day after the cut-off.
    """
    import pandas as pd

    rows = connection.execute((SQL / "churn_features.sql").read_text(), {"cutoffs": list(cutoffs)}).fetchall()
    frame = pd.DataFrame(rows, columns=["cutoff", "user_id", *FEATURES]).set_index(["cutoff", "user_id"])
    return frame.astype(float)


def churn_labels(connection: psycopg.Connection, features: "pd.DataFrame") -> "pd.Series":
    """1 for each row of `features` whose person was not seen in the 14 days after the cut-off, else 0."""
    cutoffs = sorted(set(features.index.get_level_values("cutoff")))
    query = (SQL / "churn_labels.sql").read_text()
    rows = connection.execute(query, {"cutoffs": cutoffs, "horizon_days": HORIZON_DAYS}).fetchall()
    stayed = set(map(tuple, rows))
    return features.index.to_series().map(lambda key: int(key not in stayed)).rename("has_churned")


def training_cutoffs(first_day: date, newest_day: date, most: int = 6) -> list[date]:
    """Cut-offs a horizon apart, oldest first, whose following 14 days are over and whose 28 days before are known."""
    cutoffs = []
    cutoff = newest_day - timedelta(days=HORIZON_DAYS)
    while cutoff >= first_day + timedelta(days=WINDOW_DAYS - 1) and len(cutoffs) < most:
        cutoffs.append(cutoff)
        cutoff -= timedelta(days=HORIZON_DAYS)
    return cutoffs[::-1]
