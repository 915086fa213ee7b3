"""A shadow beside the version in service, on what came true."""

import pytest

from orchestration.errors import TidemarkError
from orchestration.predict import comparing, registry
from orchestration.predict.registry import Metrics
from orchestration.warehouse import database


@pytest.fixture
def two_versions(warehouse):
    """churn-1 says 0.5 of everybody, churn-2 0.9 of the half who left and 0.2 of those who stayed."""
    metrics = Metrics(measure="x", better="lower", value=0.5, baseline=1.0, baseline_name="plain", tested_on="1")
    with database.connect() as connection:
        registry.register(connection, "churn", b"1", metrics, 1, "hash", {})
        registry.register(connection, "churn", b"2", metrics | {"value": 2.0}, 1, "hash", {})
        connection.execute("""
            insert into ml.churn_scores (user_id, as_of, probability, reasons, model_id, load_id, has_churned)
            select 'u' || place, '2026-03-01',
                case when version = 1 then 0.5 when place % 2 = 0 then 0.9 else 0.2 end,
                '[]', 'churn-' || version, 1, place % 2 = 0
            from generate_series(1, 400) as places (place) cross join generate_series(1, 2) as versions (version)""")
        connection.commit()
        yield connection


def test_without_a_shadow_there_is_nothing_to_compare(two_versions):
    with pytest.raises(TidemarkError, match="has no shadow"):
        comparing.compare(two_versions, "churn")


def test_a_shadow_that_is_surely_better_is_to_be_promoted(two_versions):
    """Brier: 0.25 of one, (0.01 + 0.04) / 2 = 0.025 of the other: a tenth."""
    registry.shadow(two_versions, "churn-2", 0.0)
    told = comparing.compare(two_versions, "churn")
    assert told.paired.startswith("−90.0% loss") and told.paired.endswith("on 400 predictions") and told.split is None
    assert told.decision == "Promote churn-2: it is surely better."


def test_a_split_is_compared_on_whom_each_served(two_versions):
    registry.shadow(two_versions, "churn-2", 0.25)
    told = comparing.compare(two_versions, "churn")
    assert told.split.endswith("on 400 predictions") and told.split.startswith("−")
    two_versions.execute("update ml.churn_scores set has_churned = not has_churned")
    assert comparing.compare(two_versions, "churn").decision == "Retire churn-2: it is surely worse."


def test_without_truth_nothing_is_decided(two_versions):
    registry.shadow(two_versions, "churn-2", 0.0)
    two_versions.execute("update ml.churn_scores set has_churned = null")
    with pytest.raises(TidemarkError, match="cannot be told apart yet"):
        comparing.compare(two_versions, "churn")
