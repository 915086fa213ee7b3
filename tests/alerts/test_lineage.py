"""What a rule's figures are made of, by the lineage of dbt's project as it is."""

import fcntl
import json

import pytest

from orchestration.alerts import lineage
from orchestration.alerts.lineage import Lineage
from orchestration.errors import TidemarkError
from orchestration.settings import AnomalyRule, RowsRule, Rule, ThresholdRule


@pytest.fixture(scope="module")
def known(parsed_project, tmp_path_factory) -> Lineage:
    """Of dbt's project, where it is parsed once for all tests."""
    from orchestration.transform import project

    with pytest.MonkeyPatch.context() as patch, (parsed_project / "lock").open("w") as lock:
        patch.setenv("TIDEMARK_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setattr(project, "target", lambda: parsed_project)
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be parsing it
        return lineage.of_manifest(json.loads(project.manifest().read_text()))


def threshold(metric: str, **more) -> Rule:
    return ThresholdRule(kind="threshold", metric=metric, above=1, recipients=["a@example.com"], **more)


def test_revenue_is_made_of_order_lines_and_not_of_requests(known):
    depends = known.depends(threshold("revenue"))
    assert {"raw.events", "staging.stg_order_lines", "marts.shop_hourly", "marts.metric_hourly",
            "views.metric_hourly", "api.metric_hourly"} <= depends  # fmt: skip
    assert not {"staging.stg_requests", "staging.stg_lessons", "marts.system_hourly", "marts.metric_daily"} & depends


def test_a_share_is_made_of_what_its_two_sides_are(known):
    depends = known.depends(threshold("error_rate"))
    assert "staging.stg_requests" in depends
    assert "staging.stg_order_lines" not in depends


def test_minutes_are_made_without_the_hourly_tables(known):
    depends = known.depends(threshold("error_rate", grain="minute"))
    assert "views.metric_minutes" in depends
    assert "marts.metric_hourly" not in depends


def test_what_a_model_says_depends_on_its_gate_too(known):
    rule = AnomalyRule(kind="anomaly", metric="orders", recipients=["a@example.com"])
    assert "ml.anomalies" in known.depends(rule)
    assert "ml.anomalies" not in known.depends(threshold("orders"))


def test_a_view_is_made_of_all_above_it(known):
    rule = RowsRule(kind="rows", view="top_content", above=1, recipients=["a@example.com"])
    assert {"raw.events", "marts.content_item_daily", "api.top_content"} <= known.depends(rule)


def test_what_feeds_a_figure_is_what_is_read_of_staging_for_it(known):
    assert known.feeds(threshold("revenue")) & {"staging.stg_order_lines"}
    assert not known.feeds(threshold("revenue")) & {"staging.stg_requests", "staging.stg_events"}
    assert known.feeds(threshold("error_rate")) == {"staging.stg_requests"}
    assert "staging.stg_order_lines" in known.staging


def test_without_a_parsed_project_nobody_knows(home, monkeypatch):
    monkeypatch.setattr(lineage, "manifest", lambda: home / "manifest.json")
    with pytest.raises(TidemarkError, match="nobody knows what depends on what"):
        lineage.read()
