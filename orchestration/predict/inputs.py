"""What the models read of the published metrics, as long frames of final hours and days. Nothing here learns."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from orchestration.errors import TidemarkError
from orchestration.warehouse import marks

if TYPE_CHECKING:
    import pandas as pd

SQL = Path(__file__).parent / "sql"
_READ = (
    *("api.metric_hourly", "api.metric_daily", "api.metrics", "api.user_daily", "api.rooms", "api.sellers"),
    *("views.churn_features", "views.churn_labels", "marts.room_openings"),
)
MARKED = "views.metric_daily"  # the mark of what is published: what was predicted from it carries it


@contextmanager
def snapshot(connection: psycopg.Connection) -> Iterator[int]:
    """A read-only look at one state of the warehouse; gives the mark of that state.

    The connection must be outside of a transaction. Raises TidemarkError when nothing has been published.
    """
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        for relation in _READ:
            if connection.execute("select to_regclass(%s)", [relation]).fetchone()[0] is None:
                raise TidemarkError(
                    f"{relation} does not exist yet, so there is nothing to learn from: run a refresh first."
                )
        yield marks.mark(connection, MARKED)


def newest_final_day(connection: psycopg.Connection) -> date | None:
    """The "now" of daily models, in event time. None before the first complete day."""
    return connection.execute("select max(day) from api.metric_daily where is_final and segment = 'all'").fetchone()[0]


def timezone(connection: psycopg.Connection) -> str:
    return connection.execute("select ops.timezone()").fetchone()[0]


def hourly(connection: psycopg.Connection) -> "pd.DataFrame":
    """unique_id (metric, or metric|endpoint=…), ds (the hour in UTC, without zone) and y, up to the newest final hour.

    Every metric of segment `all`, and the latencies and error rates of each endpoint. An hour without a row is a zero
    where hours add up (sums, counts), and absent where they do not (rates, averages).
    """
    import pandas as pd

    rows = connection.execute((SQL / "hourly_series.sql").read_text()).fetchall()
    frame = pd.DataFrame(rows, columns=["unique_id", "ds", "y"])
    return frame.assign(ds=pd.to_datetime(frame["ds"].astype("int64"), unit="s"), y=frame["y"].astype(float))


def marks_of_all(connection: psycopg.Connection) -> dict[str, int]:
    """The tide mark of every table that models may read, at this state."""
    query = "select table_name, load_id from ops.tidemarks where table_name like any(%s) order by 1"
    return dict(connection.execute(query, [["views.%", "marts.%"]]).fetchall())


def checksum(frame: "pd.DataFrame") -> str:
    """The same for the same rows, in order."""
    import pandas as pd

    return sha256(pd.util.hash_pandas_object(frame, index=True).to_numpy().tobytes()).hexdigest()
