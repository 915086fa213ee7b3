"""What a rule's figures are made of, by the lineage of dbt's project as it is."""

import json

import pytest

from orchestration.alerts import lineage
from orchestration.alerts.lineage import Lineage
from orchestration.errors import TidemarkError
from orchestration.settings import AnomalyRule, RowsRule, Rule, ThresholdRule


@pytest.fixture(scope="module")
def known(dbt_manifest) -> Lineage:
    return lineage.of_manifest(json.loads(dbt_manifest.read_text()))


@pytest.fixture(scope="module")
def dbt_manifest(tmp_path_factory):
    """dbt's project, parsed for this module."""
    from orchestration.transform import project

    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("dbt")
    patch.setenv("TIDEMARK_HOME", str(folder))
    patch.setattr(project, "target", lambda: folder)
    yield project.manifest()
    patch.undo()


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


def test_without_a_parsed_project_nobody_knows(home, monkeypatch):
    monkeypatch.setattr(lineage, "manifest", lambda: home / "manifest.json")
    with pytest.raises(TidemarkError, match="nobody knows what depends on what"):
        lineage.read()
