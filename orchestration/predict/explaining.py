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

    parts = _parts(connection, judged[judged["is_anomaly"]])
    told = []
    for row in judged.itertuples():
        if not row.is_anomaly:
            told.append(None)
            continue
        along = explain.moved_along(judged, row.unique_id, row.ds).head(TOLD)
        told.append(
            {
                "segments": _segments(parts.get((row.unique_id, row.ds))),
                "moved_along": [
                    {"series_id": one.unique_id, "direction": one.direction, "effect_size": round(one.effect_size, 3)}
                    for one in along.itertuples()
                ],
            }
        )
    return told


def _segments(values: "pd.DataFrame | None") -> list[dict]:
    from ml.anomaly import explain

    if values is None or not (values["segment"] == "all").any():
        return []
    return [
        {
            "segment": one.segment,
            "value": one.value,
            "expected": one.expected,
            "change_rate": round(one.change_rate, 6) if one.expected else None,
            "share": round(one.share, 6),
        }
        for one in explain.segments(values, TOLD).itertuples()
    ]


def _parts(connection: psycopg.Connection, anomalies: "pd.DataFrame") -> "dict[tuple, pd.DataFrame]":
    """For each anomaly (series and hour), every segment's value and what was expected of it."""
    import pandas as pd

    asked = {"metrics": anomalies["unique_id"].to_list(), "hours": [ds.value // 10**9 for ds in anomalies["ds"]]}
    rows = connection.execute((SQL / "segment_hours.sql").read_text(), asked | {"weeks": WEEKS}).fetchall()
    frame = pd.DataFrame(rows, columns=["metric", "hour", "segment", "value", "expected"])
    frame["ds"] = pd.to_datetime(frame["hour"], unit="s")
    groups = frame.groupby(["metric", "ds"])
    return {key: one[["segment", "value", "expected"]] for key, one in groups}
