"""A rule over history, with its whole life: what it would have opened, and whom it would have told what.

It is evaluated step by step as it would have been then, in a transaction that is rolled back.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import psycopg

from orchestration.alerts import series, standing, telling
from orchestration.alerts.evaluation import Round, States, follow_series, follow_standing
from orchestration.alerts.lineage import Lineage
from orchestration.alerts.rules import limits
from orchestration.alerts.walk import Reading
from orchestration.errors import TidemarkError
from orchestration.settings import AbsenceRule, Alerts, GateRule, MetricRule, VolumeRule, settings, tenant

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
    """Run a rule over the steps in [start, end); of one about gates or sources, over what was so at those times.

    Raises TidemarkError for an unknown rule, and for one about a present whose past nobody kept.
    """
    rule = config.rules.get(name)
    if rule is None:
        raise TidemarkError(f"There is no rule {name}: use one of {', '.join(sorted(config.rules))}.")
    if not isinstance(rule, MetricRule | VolumeRule | GateRule | AbsenceRule):
        raise TidemarkError(
            f"The rule {name} is of kind {rule.kind}, and of what it looks at only the present is known: "
            "replay one about a metric, gates or sources."
        )
    if start >= end:
        raise TidemarkError("The end of a replay has to come after its beginning.")
    own = f"{name} (replay)"
    alone = config.model_copy(update={"rules": {own: rule}})
    with connection.transaction(force_rollback=True):
        this = Round(connection, alone, start, Lineage())
        run = _over_moments if isinstance(rule, GateRule | AbsenceRule) else _over_steps
        readings = run(this, own, rule, start, end)
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


def _over_steps(
    this: Round, own: str, rule: MetricRule | VolumeRule, start: datetime, end: datetime
) -> dict[str, list[Reading]]:
    grain = rule.step if isinstance(rule, MetricRule) else "hour"
    step = series.STEP[grain]
    if this.as_of[grain] is None:
        raise TidemarkError("Nothing was published to replay a rule over: run `./tidemark refresh`.")
    last = min(this.as_of[grain], end - step)
    readings = {
        segment: [one for one in found if start <= one.at < end]
        for segment, found in series.unread(this.connection, own, rule, last)
    }
    by_step: dict[datetime, list[tuple[str, Reading]]] = {}
    for segment, found in readings.items():
        for one in found:
            by_step.setdefault(one.at, []).append((segment, one))
    states = States(this.connection, own)
    moment, is_live = start, False
    while moment <= last:
        _set(this, moment, moment + step)
        for segment, one in by_step.get(moment, []):
            follow_series(this, states, own, rule, segment, [one])
        is_live = _tell(this, own, is_live)
        moment += step
    return readings


def _over_moments(
    this: Round, own: str, rule: GateRule | AbsenceRule, start: datetime, end: datetime
) -> dict[str, list[Reading]]:
    wrong: dict[datetime, set[str]] = {}
    is_live = False
    for moment in standing.moments(this.connection, rule, start, end):
        _set(this, moment, moment)
        states = States(this.connection, own)
        wrong[moment] = follow_standing(this, states, own, rule, then=moment)
        states.save()
        is_live = _tell(this, own, is_live)
    segments = sorted(set().union(*wrong.values()))
    return {
        segment: [Reading(moment, float(segment in found)) for moment, found in wrong.items()] for segment in segments
    }


def _set(this: Round, as_of: datetime, now: datetime) -> None:
    """Let it be `now`, with all published up to `as_of`."""
    this.as_of, this.now, this.opened = dict.fromkeys(series.STEP, as_of), now, set()


def _tell(this: Round, own: str, is_live: bool) -> bool:
    """Tell what is to be told, if anything opened or is still going on, and say whether anything is after that."""
    if not (this.opened or is_live):
        return False
    telling.tell(this.connection, this.config, this.now, this.opened, only=own)
    this.connection.execute(  # as if each was delivered at once
        """update ops.outbox set status = 'sent'
           from ops.incident_messages as told join ops.incidents using (incident_id)
           where told.message_id = outbox.message_id and rule = %s and outbox.status = 'pending'""",
        [own],
    )
    query = "select exists (select from ops.incidents where rule = %s and not is_settled) as yes"
    return this.connection.execute(query, [own]).fetchone()["yes"]


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
