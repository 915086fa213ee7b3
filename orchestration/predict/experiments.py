"""What the experiments of config/experiments.yml say so far. The tests themselves are `ml.experiments`'."""

from typing import TYPE_CHECKING

import psycopg

from orchestration import settings
from orchestration.predict.inputs import SQL
from orchestration.predict.made import Made

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "experiment",
    "goal",
    "window_seconds",
    "measure",
    "variant",
    "day",
    "looks",
    "users",
    "information_rate",
    "control_mean",
    "variant_mean",
    "effect",
    "lo",
    "hi",
    "relative_effect",
    "statistic",
    "bound",
    "p_value",
    "sample_ratio_p_value",
    "decision",
    "sentence",
)
_KEYS = ["experiment", "goal", "window_seconds", "variant", "day", "exposed", "users"]
_VALUES = ("converted", "conversions", "value", "value_before")
_PAIRS = (("conversions", "value"), ("value", "value_before"))


def predict(connection: psycopg.Connection) -> list[Made]:
    """A row for each comparison: goal, window, measure and variant. All of an experiment share its false alarms."""
    days = _days(connection)
    if days.empty:
        return [Made("experiments", reason="Nobody was exposed to an experiment on a complete day.")]
    from ml import experiments

    configured = settings.experiments()
    rows = []
    for (name, goal, window), own in days.groupby(["experiment", "goal", "window_seconds"], sort=True):
        plan = configured[name]
        measures = list(experiments.MEASURES) if plan.goals[goal].value else ["conversion_rate"]
        goals = sum(len(experiments.MEASURES) if one.value else 1 for one in plan.goals.values())
        comparisons = goals * len(plan.windows) * (len(plan.variants) - 1)
        asked = experiments.Plan(plan.users, plan.least_effect, plan.variants, comparisons)
        for measure in measures:
            for result in experiments.analyse(
                own.drop(columns=["experiment", "goal", "window_seconds"]), measure, asked
            ):
                told = [getattr(result, column) for column in COLUMNS[4:]]
                rows.append((name, goal, int(window), measure, *told))
    return [Made("experiments", rows=tuple(rows))]


def _days(connection: psycopg.Connection) -> "pd.DataFrame":
    import pandas as pd

    sums = {name: name for name in _VALUES}
    sums |= {f"{name}_square": f"{name} * {name}" for name in _VALUES}
    sums |= {f"{left}_{right}": f"{left} * {right}" for left, right in _PAIRS}
    listed = ", ".join(f"sum({what})::double precision as {name}" for name, what in sums.items())
    query = (SQL / "experiment_days.sql").read_text().format(sums=listed)
    frame = pd.DataFrame(connection.execute(query).fetchall(), columns=[*_KEYS, *sums])
    return frame[frame["experiment"].isin(list(settings.experiments()))]
