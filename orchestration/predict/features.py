"""What is known of each person at a cut-off day, and what they did after it, as dbt built both. Nothing learns here.

`views.churn_features` reads no day after its cut-off and `views.churn_labels` alone looks past it; both have a cut-off
at the newest complete day and every fortnight before it.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import psycopg

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
    "active_days_earlier",
    "usual_gap_days",
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
    """A row for each cut-off day and person active in the 28 days up to it, indexed by both: FEATURES."""
    import pandas as pd

    query = f"""
        select cutoff_date, user_id, {", ".join(FEATURES)} from views.churn_features
        where cutoff_date = any(%s) order by cutoff_date, user_id collate "C"
        """
    rows = connection.execute(query, [list(cutoffs)]).fetchall()
    frame = pd.DataFrame(rows, columns=["cutoff", "user_id", *FEATURES]).set_index(["cutoff", "user_id"])
    return frame.astype(float)


def churn_labels(connection: psycopg.Connection, features: "pd.DataFrame") -> "pd.Series":
    """1 for each row of `features` whose person was not seen in the 14 days after the cut-off, else 0."""
    import pandas as pd

    cutoffs = sorted(set(features.index.get_level_values("cutoff")))
    query = "select cutoff_date, user_id, has_churned from views.churn_labels where cutoff_date = any(%s)"
    rows = connection.execute(query, [cutoffs]).fetchall()
    told = pd.DataFrame(rows, columns=["cutoff", "user_id", "has_churned"]).set_index(["cutoff", "user_id"])
    return told["has_churned"].reindex(features.index).astype(int)


def training_cutoffs(first_day: date, newest_day: date, most: int = 6) -> list[date]:
    """Cut-offs a horizon apart, oldest first, whose following 14 days are over and whose 28 days before are known."""
    cutoffs = []
    cutoff = newest_day - timedelta(days=HORIZON_DAYS)
    while cutoff >= first_day + timedelta(days=WINDOW_DAYS - 1) and len(cutoffs) < most:
        cutoffs.append(cutoff)
        cutoff -= timedelta(days=HORIZON_DAYS)
    return cutoffs[::-1]
