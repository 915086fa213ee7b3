"""Draws an incident's chart for its mail. What is drawn was put into the incident when it opened."""

from datetime import datetime
from io import BytesIO

from orchestration.settings import Tenant


def chart(incident: dict, tenant: Tenant) -> bytes:
    """The course of the metric up to the incident, what was expected, and since when it is wrong: a PNG.

    `incident` has the columns of `ops.incidents`. No text of the data is drawn.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    points = incident["evidence"]["chart"]
    times = [datetime.fromisoformat(point["at"]) for point in points]
    figure = Figure(figsize=(6.4, 2.0), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    axis.plot(times, [point["value"] for point in points], color="#1f5fbf", linewidth=1.2)
    for name, style in (("expected", ":"), ("lo", "--"), ("hi", "--")):
        if incident[name] is not None:
            axis.axhline(incident[name], color="#888", linewidth=0.8, linestyle=style)
    axis.axvspan(incident["opened_hour"], max(times[-1], incident["opened_hour"]), color="#b3261e", alpha=0.15, lw=0)
    axis.plot(times[-1:], [points[-1]["value"]], "o", color="#b3261e", markersize=4)
    locator = AutoDateLocator(tz=tenant.zone)
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=tenant.zone))
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=7)
    axis.margins(x=0.01)
    with BytesIO() as buffer:
        figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
        return buffer.getvalue()
