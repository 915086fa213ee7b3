"""Why an hour was unusual: the segments that account for it, and what moved with it. Nothing is judged here."""

from typing import TYPE_CHECKING

import psycopg

from orchestration.predict.inputs import SQL

if TYPE_CHECKING:
    import pandas as pd

WEEKS = 4  # the same hours of so many past weeks are what is expected of a segment
TOLD = 3


def explanations(connection: psycopg.Connection, judged: "pd.DataFrame") -> list[dict | None]:
    """For each row of `judged` (what `ml.anomaly.detect` returns), what is told of it; None where it is no anomaly.

    {"segments": […], "moved_along": […]}, strongest first. Segments are known of whole metrics that add up.
    """
    from ml.anomaly import explain

    anomalies = judged.loc[judged["is_anomaly"], ["unique_id", "ds"]]
    told = {key: {"segments": [], "moved_along": []} for key in anomalies.itertuples(index=False, name=None)}
    values = _parts(connection, anomalies)
    if len(values):
        for one in explain.segments(values, TOLD, ["unique_id", "ds"]).itertuples():
            told[one.unique_id, one.ds]["segments"].append(
                {
                    "segment": one.segment,
                    "value": one.value,
                    "expected": one.expected,
                    "change_rate": round(one.change_rate, 6) if one.expected else None,
                    "share": round(one.share, 6),
                }
            )
    for one in explain.moved_along(judged, TOLD).itertuples():
        told[one.unique_id, one.ds]["moved_along"].append(
            {"series_id": one.other, "direction": one.direction, "effect_size": round(one.effect_size, 3)}
        )
    return [told.get(key) for key in zip(judged["unique_id"], judged["ds"], strict=True)]


def _parts(connection: psycopg.Connection, anomalies: "pd.DataFrame") -> "pd.DataFrame":
    """For each anomaly whose whole is known, every segment's value and what was expected of it."""
    import pandas as pd

    asked = {"metrics": anomalies["unique_id"].to_list(), "hours": [ds.value // 10**9 for ds in anomalies["ds"]]}
    rows = connection.execute((SQL / "segment_hours.sql").read_text(), asked | {"weeks": WEEKS}).fetchall()
    frame = pd.DataFrame(rows, columns=["unique_id", "hour", "segment", "value", "expected"])
    frame["ds"] = pd.to_datetime(frame.pop("hour"), unit="s")
    has_whole = (frame["segment"] == "all").groupby([frame["unique_id"], frame["ds"]]).transform("any")
    return frame[has_whole]
