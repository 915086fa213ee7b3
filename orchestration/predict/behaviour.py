"""Users, sellers and rooms as they stand now, in numbers comparable among their like. Nothing is judged here."""

from datetime import datetime
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    import pandas as pd

# What is read of each kind; the first column names the person or thing. Newest first, so that all are of one time.
QUERIES = {
    "user": """
        select user_id, active_days_28, events_28, sessions_28, lessons_completed_28, average_score_28, orders_28,
            revenue_28, events_trend
        from views.churn_features
        where cutoff_date = (select max(cutoff_date) from views.churn_features)
        order by user_id collate "C"
        """,
    "seller": """
        select seller_id, transactions_28d, volume_28d, growth_rate, failure_rate, largest_customer_rate,
            customer_concentration, repeat_customers, average_settlement_seconds, fair_rating
        from api.sellers
        order by seller_id collate "C"
        """,
    "room": """
        select room_id, members, voters, votes, votes_per_member, items, pauses, paused_seconds, total_seconds,
            consensus_strength
        from api.rooms
        where created_at > as_of - interval '28 days'
        order by room_id collate "C"
        """,
}
COLUMNS = ("kind", "entity_id", "as_of", "score", "is_anomaly", "reasons", "load_id")


def read(connection: psycopg.Connection, kind: str) -> "pd.DataFrame":
    """The numbers of all of a kind, indexed by the user, seller or room; null where something is not known."""
    import pandas as pd

    cursor = connection.execute(QUERIES[kind])
    names = [column.name for column in cursor.description]
    return pd.DataFrame(cursor.fetchall(), columns=names).set_index(names[0]).astype(float)


def newest_hour_end(connection: psycopg.Connection) -> datetime | None:
    """The "now" of behaviour: the end of the newest complete hour."""
    query = "select max(hour) + interval '1 hour' from api.metric_hourly where is_final and segment = 'all'"
    return connection.execute(query).fetchone()[0]
