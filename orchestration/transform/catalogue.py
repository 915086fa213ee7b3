"""The catalogue of metrics as a page: `python -m orchestration.transform.catalogue` writes docs/metrics.md from it."""

import yaml

from orchestration.settings import ROOT
from orchestration.transform.project import PROJECT

PAGE = ROOT / "docs" / "metrics.md"

HEAD = """# Metrics

Every metric of every system, by hour and by day of the tenant, in `api.metric_hourly` and `api.metric_daily`. The
segment is `all`, or `dimension=value` for the dimensions named here. An hour or day in which nothing happened has no
row. This page is written from the catalogue in `dbt_project/dbt_project.yml`, where a metric is one entry.

How a metric adds up: *sum*: its hours sum to the day, its segments to the whole. *distinct*: counted exactly at each
grain, so never more than the sum of its parts. *ratio*: of sums. *percentile*: exact, over all values of the hour or
day.

| metric | system | unit | what it says | adds up | dimensions | computed from |
| --- | --- | --- | --- | --- | --- | --- |
"""


def page() -> str:
    """The page, from the catalogue as it stands."""
    catalogue = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]["metrics"]
    rows = [
        f"| `{name}` | {metric['system']} | {metric['unit']} | {metric['description']} | {metric['adds_up']} "
        f"| {', '.join(metric.get('segments', []))} | `{metric['value']}` of `{metric['from']}` |"
        for name, metric in catalogue.items()
    ]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
