"""Versions, promotion, and artefacts that nobody edited."""

import pytest

from orchestration.errors import TidemarkError
from orchestration.predict import registry
from orchestration.predict.registry import Metrics
from orchestration.settings import settings
from orchestration.warehouse import database


def scored(value: float, baseline: float, better: str = "lower") -> Metrics:
    return Metrics(measure="MASE", better=better, value=value, baseline=baseline, baseline_name="plain", tested_on="1")


def register(connection, value: float, baseline: float = 1.0, content: bytes = b"{}", name: str = "toy"):
    return registry.register(connection, name, content, scored(value, baseline), 3, f"hash {content!r}", {"seed": 1})


def test_a_challenger_that_beats_its_baseline_takes_over(warehouse):
    with database.connect() as connection:
        first = register(connection, 0.9)
        second = register(connection, 0.8, content=b"[]")
        assert (first.model_id, second.model_id) == ("toy-1", "toy-2")
        assert registry.in_service(connection, "toy") == second
        stages = connection.execute("select model_id, stage from ml.models order by version").fetchall()
        assert stages == [("toy-1", "retired"), ("toy-2", "serving")]
        assert second.metrics["baseline"] == 1.0 and "prophet" in second.libraries


@pytest.mark.parametrize("value", [1.0, 1.3, float("inf")])
def test_a_challenger_no_better_than_its_baseline_is_rejected(warehouse, value):
    with database.connect() as connection:
        serving = register(connection, 0.9)
        rejected = register(connection, min(value, 1e9), content=b"[]")
        assert rejected.stage == "rejected"
        assert registry.in_service(connection, "toy") == serving


def test_higher_is_better_where_the_measure_says_so():
    assert registry.beats_baseline(scored(0.8, 0.5, "higher"))
    assert not registry.beats_baseline(scored(0.5, 0.5, "higher"))
    assert not registry.beats_baseline(scored(float("nan"), 0.5))


def test_models_do_not_retire_each_other(warehouse):
    with database.connect() as connection:
        register(connection, 0.9, name="one")
        register(connection, 0.9, name="two")
        assert registry.in_service(connection, "one") and registry.in_service(connection, "two")


def test_an_intact_artefact_is_loaded(warehouse):
    with database.connect() as connection:
        assert registry.load_artefact(register(connection, 0.5, content=b'{"a": 1}')) == b'{"a": 1}'


def test_an_edited_artefact_is_refused(warehouse):
    with database.connect() as connection:
        model = register(connection, 0.5)
        path = settings().directory("models") / model.artefact
        path.write_bytes(b"[1]")
        with pytest.raises(TidemarkError, match="was changed"):
            registry.load_artefact(model)
        path.unlink()
        with pytest.raises(TidemarkError, match="is missing"):
            registry.load_artefact(model)


def test_an_artefact_edited_together_with_its_checksum_is_refused(warehouse):
    from hashlib import sha256

    with database.connect() as connection:
        model = register(connection, 0.5)
        (settings().directory("models") / model.artefact).write_bytes(b"[1]")
        connection.execute("update ml.models set sha256 = %s", [sha256(b"[1]").hexdigest()])
        with pytest.raises(TidemarkError, match="TIDEMARK_SECRET_KEY"):
            registry.load_artefact(registry.in_service(connection, "toy"))


def test_another_models_artefact_is_refused(warehouse):
    with database.connect() as connection:
        register(connection, 0.5, name="toy")
        register(connection, 0.5, name="other", content=b"[]")
        connection.execute("""
            update ml.models as toy set artefact = other.artefact, sha256 = other.sha256, hmac = other.hmac
            from ml.models as other where toy.name = 'toy' and other.name = 'other'""")
        with pytest.raises(TidemarkError, match="not registered under"):
            registry.load_artefact(registry.in_service(connection, "toy"))


def test_another_secret_key_is_refused(warehouse, monkeypatch):
    with database.connect() as connection:
        model = register(connection, 0.5)
        monkeypatch.setenv("TIDEMARK_SECRET_KEY", "another")
        with pytest.raises(TidemarkError, match="TIDEMARK_SECRET_KEY"):
            registry.load_artefact(model)


def test_what_was_judged_before_is_known_until_its_artefact_breaks(warehouse):
    with database.connect() as connection:
        model = register(connection, 0.5)
        assert registry.already_judged(connection, "toy", model.data_hash, {"seed": 1}) == model
        assert registry.already_judged(connection, "toy", model.data_hash, {"seed": 2}) is None
        assert registry.already_judged(connection, "toy", "other data", {"seed": 1}) is None
        (settings().directory("models") / model.artefact).write_bytes(b"[1]")
        assert registry.already_judged(connection, "toy", model.data_hash, {"seed": 1}) is None


def test_a_failed_registration_leaves_the_model_in_service(warehouse):
    with database.connect() as connection:
        serving = register(connection, 0.9)
        connection.commit()
        with pytest.raises(Exception, match="violates not-null"):
            registry.register(connection, "toy", b"[]", scored(0.5, 1.0), None, "hash", {})
        connection.rollback()
        assert registry.in_service(connection, "toy") == serving
