"""Versions, promotion, and artefacts that nobody edited."""

import json

import pytest
from click.testing import CliRunner

from ml.promotion import Comparison
from orchestration.cli import tidemark
from orchestration.errors import TidemarkError
from orchestration.predict import registry
from orchestration.predict.registry import Metrics
from orchestration.settings import settings
from orchestration.warehouse import database


def scored(value: float, baseline: float, better: str = "lower") -> Metrics:
    return Metrics(measure="MASE", better=better, value=value, baseline=baseline, baseline_name="plain", tested_on="1")


def register(connection, value: float, baseline: float = 1.0, content: bytes = b"{}", name: str = "toy", **further):
    """A version that challenges the one in service, without a comparison if none is given."""
    serving = registry.in_service(connection, name)
    further = {"challenged": serving and serving.model_id} | further
    metrics = scored(value, baseline)
    return registry.register(connection, name, content, metrics, 3, f"hash {content!r}", {"seed": 1}, **further)


def compared(change: float, hi: float) -> Comparison:
    return Comparison(change, change - 0.1, hi, 100)


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


def test_a_challenger_replaces_only_what_it_surely_beats(warehouse):
    with database.connect() as connection:
        first = register(connection, 0.9)
        verdicts = {}
        for word, against in (("chance", compared(-0.05, 0.01)), ("little", compared(-0.009, -0.001))):
            verdicts[word] = register(connection, 0.8, content=word.encode(), against=against, challenged="toy-1")
        assert {one.stage for one in verdicts.values()} == {"rejected"}
        assert "not surely 1 % better than toy-1" in verdicts["chance"].verdict
        assert registry.in_service(connection, "toy") == first
        better = register(connection, 0.8, content=b"[]", against=compared(-0.05, -0.01), challenged="toy-1")
        assert registry.in_service(connection, "toy") == better
        late = register(connection, 0.7, content=b"[2]", against=compared(-0.05, -0.01), challenged="toy-1")
        assert late.stage == "rejected" and "while this one was trained" in late.verdict
        first_of_all = register(connection, 0.6, content=b"[3]", challenged=None)
        assert first_of_all.stage == "rejected" and "while this one was trained" in first_of_all.verdict
        stages = connection.execute("select model_id, stage from ml.model_stages order by change_id").fetchall()
        assert stages[-4:-1] == [("toy-1", "retired"), ("toy-4", "serving"), ("toy-5", "rejected")]


@pytest.mark.parametrize(
    ("own", "before", "is_in_band"),
    [(0.8, 0.8, True), (0.69, 0.8, False), (0.69, 0.6, True), (0.95, 0.8, False)],
)
def test_a_challenger_keeps_what_its_intervals_claim(own, before, is_in_band):
    told = [scored(0.8, 1.0) | {"coverage": {"80": share, "95": 0.95}} for share in (own, before)]
    assert registry.is_in_band(*told) == is_in_band


def test_probabilities_must_mean_what_they_say():
    assert registry.is_in_band({"also": {"ece": 0.04}}, {})
    assert not registry.is_in_band({"also": {"ece": 0.08}}, {"also": {"ece": 0.06}})


def test_roll_back_goes_back_version_by_version_in_one_transaction(warehouse):
    with database.connect() as connection:
        for content in (b"1", b"2", b"3"):
            register(connection, 0.9, content=content)
        assert registry.roll_back(connection, "toy", "wrong").model_id == "toy-2"
        assert registry.one(connection, "toy-3").stage == "rejected"
        assert registry.roll_back(connection, "toy", "wrong too").model_id == "toy-1"
        with pytest.raises(TidemarkError, match="no version that served before"):
            registry.roll_back(connection, "toy", "more")
        assert registry.promote(connection, "toy-3", "it was right").stage == "serving"
        actions = connection.execute("select action, subject from ops.audit order by audit_id").fetchall()
        assert actions == [("model.roll_back", "toy"), ("model.roll_back", "toy"), ("model.promote", "toy-3")]


def test_a_roll_back_to_an_edited_artefact_changes_nothing(warehouse):
    with database.connect() as connection:
        first, second = register(connection, 0.9), register(connection, 0.9, content=b"[]")
        (settings().directory("models") / first.artefact).write_bytes(b"[1]")
        with pytest.raises(TidemarkError, match="was changed"):
            registry.roll_back(connection, "toy", "wrong")
        assert registry.in_service(connection, "toy") == second
        assert connection.execute("select count(*) from ops.audit").fetchone() == (0,)


def test_a_shadow_serves_its_share_and_everybody_is_served_once(warehouse):
    with database.connect() as connection:
        register(connection, 0.9)
        register(connection, 1.1, content=b"[]")
        served = """select count(*) filter (where ml.serves('toy-1', unit::text)),
                           count(*) filter (where ml.serves('toy-2', unit::text)),
                           count(*) filter (where ml.serves('toy-1', unit::text) and ml.serves('toy-2', unit::text))
                    from generate_series(1, 4000) as units (unit)"""
        assert connection.execute(served).fetchone() == (4000, 0, 0)
        registry.shadow(connection, "toy-2", 0.0)
        assert [model.model_id for model in registry.predicting(connection, "toy")] == ["toy-1", "toy-2"]
        assert connection.execute(served).fetchone() == (4000, 0, 0)
        registry.shadow(connection, "toy-2", 0.3)
        own, other, both = connection.execute(served).fetchone()
        assert own + other == 4000 and both == 0 and other == pytest.approx(1200, abs=120)
        with pytest.raises(TidemarkError, match="no other version in service"):
            registry.shadow(connection, "toy-1", 0.1)
        assert registry.retire(connection, "toy-2").stage == "rejected"
        assert connection.execute(served).fetchone() == (4000, 0, 0)


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


def test_models_are_listed_and_rolled_back_by_command(warehouse):
    with database.connect() as connection:
        register(connection, 0.9)
        register(connection, 0.8, content=b"[]", against=compared(-0.05, -0.01), challenged="toy-1")

    def run(*arguments: str) -> str:
        return CliRunner().invoke(tidemark, ["models", *arguments]).output

    listed = json.loads(run("list", "--json"))
    assert [(one["model_id"], one["stage"]) for one in listed] == [("toy-2", "serving"), ("toy-1", "retired")]
    assert listed[0]["verdict"].startswith("better than toy-1: −5.0% loss")
    [back] = json.loads(run("rollback", "toy", "--reason", "too bold", "--json"))
    assert (back["model_id"], back["stage"], back["verdict"]) == ("toy-1", "serving", "too bold")
    assert "toy-2" in run("list", "toy") and "rejected" in run("list", "toy")
    assert "no version that served before" in run("rollback", "toy")
