"""A rule over history, with its whole life: what it would have opened, and whom it would have told what.

It is evaluated step by step as it would have been then, in a transaction that is rolled back.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import psycopg

from orchestration.alerts import series, telling
from orchestration.alerts.evaluation import Round, States, follow_series
from orchestration.alerts.lineage import Lineage
from orchestration.alerts.rules import limits
from orchestration.alerts.walk import Reading
from orchestration.errors import TidemarkError
from orchestration.settings import Alerts, MetricRule, VolumeRule, settings, tenant

PANELS = 6  # segments that a picture shows


@dataclass(frozen=True)
class Replayed:
    """What a rule would have done. `readings` are the steps of each segment that it was judged by."""

    rule: str
    start: datetime
    end: datetime
    incidents: list[dict]
    messages: list[dict]
    readings: dict[str, list[Reading]]

    def summary(self) -> dict:
        """How often, for how long and how loudly, as plain values."""
        weeks = max((self.end - self.start) / timedelta(weeks=1), 1 / 168)
        spans = [(row["resolved_hour"] or self.end) - row["opened_hour"] for row in self.incidents]
        return {
            "rule": self.rule,
            "from": self.start,
            "to": self.end,
            "series": len(self.readings),
            "opened": sum(row["openings"] for row in self.incidents),
            "per_week": round(len(self.incidents) / weeks, 2),
            "hours_open": round(sum(spans, timedelta()) / timedelta(hours=1), 2),
            "longest_hours": round(max(spans, default=timedelta()) / timedelta(hours=1), 2),
            "incidents": [
                {key: row[key] for key in ("segment", "status", "opened_hour", "resolved_hour", "value", "detail")}
                for row in self.incidents
            ],
            "messages": self.messages,
        }


def replay(connection: psycopg.Connection, config: Alerts, name: str, start: datetime, end: datetime) -> Replayed:
    """Run a rule over the steps in [start, end). Raises TidemarkError for an unknown rule, or one about the present."""
    rule = config.rules.get(name)
    if rule is None:
        raise TidemarkError(f"There is no rule {name}: use one of {', '.join(sorted(config.rules))}.")
    if not isinstance(rule, MetricRule | VolumeRule):
        raise TidemarkError(
            f"The rule {name} is of kind {rule.kind}, which looks at the present: replay one over steps of a metric."
        )
    if start >= end:
        raise TidemarkError("The end of a replay has to come after its beginning.")
    grain = rule.step if isinstance(rule, MetricRule) else "hour"
    step = series.STEP[grain]
    own = f"{name} (replay)"
    alone = config.model_copy(update={"rules": {own: rule}})
    with connection.transaction(force_rollback=True):
        this = Round(connection, alone, start, Lineage())
        if this.as_of[grain] is None:
            raise TidemarkError("Nothing was published to replay a rule over: run `./tidemark refresh`.")
        last = min(this.as_of[grain], end - step)
        readings = {
            segment: [one for one in found if start <= one.at < end]
            for segment, found in series.unread(connection, own, rule, last)
        }
        by_step: dict[datetime, list[tuple[str, Reading]]] = {}
        for segment, found in readings.items():
            for one in found:
                by_step.setdefault(one.at, []).append((segment, one))
        states = States(connection, own)
        is_live = False
        moment = start
        while moment <= last:
            this.as_of, this.now = dict.fromkeys(series.STEP, moment), moment + step
            fresh: set[int] = set()
            this.opened = fresh
            for segment, one in by_step.get(moment, []):
                follow_series(this, states, own, rule, segment, [one])
            if fresh or is_live:
                telling.tell(connection, alone, this.now, fresh, only=own)
                is_live = connection.execute(
                    "select exists (select from ops.incidents where rule = %s and not is_settled) as yes", [own]
                ).fetchone()["yes"]
            moment += step
        incidents = connection.execute(
            "select * from ops.incidents where rule = %s order by opened_hour, incident_id", [own]
        ).fetchall()
        messages = connection.execute(
            """select told.at, told.receiver, subject, count(*) as incidents
               from ops.incident_messages as told join ops.outbox using (message_id)
               join ops.incidents using (incident_id)
               where rule = %s group by told.at, told.receiver, message_id, subject order by told.at, told.receiver""",
            [own],
        ).fetchall()
    return Replayed(name, start, end, incidents, messages, readings)


def picture(replayed: Replayed, config: Alerts) -> Path:
    """Draw the series with what was allowed, the incidents and the messages, into TIDEMARK_HOME/alerts."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rule, zone = config.rules[replayed.rule], tenant().zone
    opened = {row["segment"] for row in replayed.incidents}
    shown = sorted(replayed.readings, key=lambda segment: (segment not in opened, segment))[:PANELS] or ["all"]
    figure, axes = pyplot.subplots(
        len(shown), 1, figsize=(11, 1 + 2.2 * len(shown)), sharex=True, squeeze=False, layout="constrained"
    )
    for axis, segment in zip(axes[:, 0], shown, strict=True):
        readings = replayed.readings.get(segment, [])
        times = [one.at for one in readings]
        axis.plot(times, [one.value for one in readings], color="#1f5fbf", linewidth=0.9)
        for side in (0, 1):
            bound = [limits(rule, one)[side] for one in readings]
            if any(value is not None for value in bound):
                axis.plot(times, [float("nan") if value is None else value for value in bound],
                          color="#999", linewidth=0.7, linestyle="--")  # fmt: skip
        for row in replayed.incidents:
            if row["segment"] == segment:
                axis.axvspan(
                    row["opened_hour"], row["resolved_hour"] or replayed.end, color="#b3261e", alpha=0.25, lw=0
                )
        axis.set_title(segment, loc="left", fontsize=9, parse_math=False)
        axis.margins(x=0)
    ticks = [row["at"] for row in replayed.messages]
    axes[-1, 0].plot(ticks, [0] * len(ticks), "^", color="#222", markersize=5, clip_on=False,
                     transform=axes[-1, 0].get_xaxis_transform())  # fmt: skip
    axes[-1, 0].xaxis.axis_date(zone)
    figure.suptitle(
        f"{replayed.rule}: {len(replayed.incidents)} incidents (red), {len(replayed.messages)} messages (triangles)",
        fontsize=11,
    )
    path = settings().directory("alerts") / f"replay-{replayed.rule}.png"
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path
