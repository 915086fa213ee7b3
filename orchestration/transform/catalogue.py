"""The catalogue of metrics as a page: `python -m orchestration.transform.catalogue` writes docs/metrics.md from it.

The catalogue is dbt's semantic layer; its macro `catalogue` reads the same for SQL.
"""

import json
from dataclasses import dataclass

from orchestration.settings import ROOT
from orchestration.transform import project

PAGE = ROOT / "docs" / "metrics.md"

HEAD = """# Metrics

Every metric of every system: by hour in `api.metric_hourly`, by day of the tenant in `api.metric_daily`, by week (from
Monday), month and quarter in `api.metric_period`. The segment is `all`, or `dimension=value` for the dimensions named
here. An hour or day in which nothing happened has no row. This page is written from the catalogue, which `api.metrics`
shows too: a metric is one entry in the `_metrics.yml` of its system in `dbt_project/models/marts/`. What moves by the
minute is counted by minutes too, for two days: in `api.metric_minutes`, and over the newest 1, 5, 15 and 60 complete
minutes in `api.windows`.

How a metric adds up: *sum*: hours sum to days, days to weeks, segments to the whole. *distinct*: counted exactly at
each grain, so never more than the sum of its parts. *ratio*: of sums. *percentile*: exact, over all values of the hour,
day or longer. Money is never added up over currencies: the whole is what is
in the tenant's, or what was converted into it (`converted_…`).

| metric | system | owner | unit | what it says | better | finest grain | adds up | dimensions | computed from |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""

ADDS_UP = {"sum": "sum", "count_distinct": "distinct", "percentile": "percentile"}


@dataclass(frozen=True)
class Metric:
    """An entry of the catalogue. `value` says what is computed of which model."""

    name: str
    description: str
    system: str
    owner: str
    unit: str
    good_direction: str
    grain: str
    adds_up: str
    segments: tuple[str, ...]
    value: str


def metrics() -> list[Metric]:
    """Every published metric by name. One without a unit is only part of others."""
    manifest = json.loads(project.manifest().read_text())
    known = {metric["name"]: metric for metric in manifest["metrics"].values()}
    measures = {
        measure["name"]: (measure, semantic)
        for semantic in manifest["semantic_models"].values()
        for measure in semantic["measures"]
    }
    return [_metric(known[name], known, measures) for name in sorted(known) if "unit" in known[name]["config"]["meta"]]


def _metric(metric: dict, known: dict[str, dict], measures: dict[str, tuple[dict, dict]]) -> Metric:
    meta, is_ratio = metric["config"]["meta"], metric["type"] == "ratio"
    parts = metric["type_params"]
    inputs = [known[parts[side]["name"]] for side in ("numerator", "denominator")] if is_ratio else [metric]
    names = [part["type_params"]["measure"]["name"] for part in inputs]
    measure, semantic = measures[names[0]]
    times = [dimension for dimension in semantic["dimensions"] if dimension["type"] == "time"]
    return Metric(
        name=metric["name"],
        description=metric["description"],
        system=meta["system"],
        owner=meta["owner"],
        unit=meta["unit"],
        good_direction=meta["good_direction"],
        grain=times[0]["type_params"]["time_granularity"],
        adds_up="ratio" if is_ratio else ADDS_UP[measure["agg"]],
        segments=tuple(one["name"] for one in semantic["dimensions"] if one["type"] == "categorical"),
        value=" / ".join(_expression(*measures[name]) for name in names),
    )


def _expression(measure: dict, semantic: dict) -> str:
    percentile = (measure["agg_params"] or {}).get("percentile")
    what = {"count_distinct": "count distinct", "percentile": f"percentile {percentile} of"}.get(measure["agg"], "sum")
    return f"{what} {measure['expr'] or measure['name']} of {semantic['node_relation']['alias']}"


def page() -> str:
    """The page, from the catalogue as it stands."""
    rows = [
        f"| `{one.name}` | {one.system} | {one.owner} | {one.unit} | {one.description} | {one.good_direction} "
        f"| {one.grain} | {one.adds_up} | {', '.join(one.segments)} | `{one.value}` |"
        for one in sorted(metrics(), key=lambda one: (one.system, one.name))
    ]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
