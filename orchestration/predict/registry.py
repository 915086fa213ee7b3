"""Versions of models in `ml.models` and their artefacts under TIDEMARK_HOME: which serves, and that none was edited."""

import getpass
import hmac
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from orchestration.errors import TidemarkError
from orchestration.settings import ROOT, settings
from orchestration.warehouse import audit

if TYPE_CHECKING:
    from ml.drift import Histogram
    from ml.promotion import Comparison

COVERAGE_BAND = {"80": 0.1, "95": 0.06}  # how far from its claim an interval's coverage may lie, as a share
CALIBRATION_BAND = 0.05
CODE = ("ml", "orchestration/predict")
LIBRARIES = ("implicit", "lightgbm", "numpy", "pandas", "prophet", "scikit-learn", "statsforecast")
_COLUMNS = (
    "model_id, name, version, stage, metrics, load_id, data_hash, parameters, libraries, artefact, sha256, hmac, "
    "marks, code, seed, reference, verdict, share"
)


class Metrics(TypedDict, total=False):
    """The shape of `ml.models.metrics`: everything out of sample. All but `also` and `coverage` are always there."""

    measure: str  # 'MASE', 'Brier score', 'F1'
    better: Literal["lower", "higher"]
    value: float  # of this model
    baseline: float  # the plain baseline's, on the same data
    baseline_name: str
    tested_on: str  # in words: '3 windows of 28 days'
    coverage: dict[str, float]  # level -> share of the truth within the interval: {"80": 0.81, "95": 0.94}
    also: dict[str, float]  # further measures by name


@dataclass(frozen=True)
class Model:
    """One version of a model: a row of `ml.models`."""

    model_id: str
    name: str
    version: int
    stage: str
    metrics: Metrics
    load_id: int
    data_hash: str
    parameters: dict
    libraries: dict
    artefact: str
    sha256: str
    hmac: str
    marks: dict
    code: str
    seed: int
    reference: dict
    verdict: str
    share: float


def beats_baseline(metrics: Metrics) -> bool:
    """Whether a model is better than its baseline out of sample. Equal, or not a number, is not better."""
    if metrics["better"] == "lower":
        return metrics["value"] < metrics["baseline"]
    return metrics["value"] > metrics["baseline"]


def is_in_band(metrics: Metrics, before: Metrics) -> bool:
    """Whether intervals cover, or probabilities mean, what they say; or no less so than the model in service's."""
    for level, band in COVERAGE_BAND.items():
        if (covered := metrics.get("coverage", {}).get(level)) is not None:
            other = before.get("coverage", {}).get(level, float("nan"))
            off, off_before = (abs(share - int(level) / 100) for share in (covered, other))
            if off > band and not off <= off_before:
                return False
    ece = metrics.get("also", {}).get("ece", 0.0)
    return ece <= CALIBRATION_BAND or ece <= before.get("also", {}).get("ece", 0.0)


def register(
    connection: psycopg.Connection,
    name: str,
    artefact: bytes,
    metrics: Metrics,
    load_id: int,
    data_hash: str,
    parameters: dict,
    *,
    against: "Comparison | None" = None,
    challenged: str | None = None,
    reference: "dict[str, Histogram] | None" = None,
    marks: dict[str, int] | None = None,
) -> Model:
    """Keep a newly trained model, and put it into service if it is better; else it is `rejected`.

    Better than its plain baseline, and than the model in service, `challenged`, by their paired losses `against` each
    other, with coverage or calibration in band. Without a comparison (there was nothing to compare with) the baseline
    decides. The model that was in service retires in the same transaction, and stays when the new one is rejected, or
    when another was put there meanwhile.
    """
    checksum = sha256(artefact).hexdigest()
    path = Path(name) / checksum[:24]
    _write(settings().directory("models") / path, artefact)
    with connection.transaction():
        _lock(connection)
        query = "select coalesce(max(version), 0) + 1 from ml.models where name = %s"
        number = connection.execute(query, [name]).fetchone()[0]
        serving = in_service(connection, name)
        stage, verdict = _judge(metrics, against, serving, challenged)
        model_id = f"{name}-{number}"
        if stage == "serving" and serving:
            _set_stage(connection, serving.model_id, "retired", f"{model_id} replaced it")
        values = {
            "model_id": model_id,
            "name": name,
            "version": number,
            "stage": stage,
            "metrics": Jsonb(metrics),
            "load_id": load_id,
            "data_hash": data_hash,
            "parameters": Jsonb(parameters),
            "libraries": Jsonb(libraries()),
            "artefact": str(path),
            "sha256": checksum,
            "hmac": _signature(model_id, checksum),
            "marks": Jsonb(marks or {}),
            "code": code(),
            "seed": parameters.get("seed", 0),
            "reference": Jsonb(reference or {}),
            "verdict": verdict,
        }
        columns = ", ".join(values)
        places = ", ".join(f"%({column})s" for column in values)
        connection.execute(f"insert into ml.models ({columns}) values ({places})", values)
        _remember_stage(connection, model_id, stage, verdict)
    return one(connection, model_id)


def _judge(
    metrics: Metrics, against: "Comparison | None", serving: Model | None, challenged: str | None
) -> tuple[str, str]:
    """A challenger's stage, and why in words."""
    if not beats_baseline(metrics):
        return "rejected", f"does not beat {metrics['baseline_name']}"
    if serving and challenged != serving.model_id:
        return "rejected", f"{serving.model_id} went into service while this one was trained"
    if serving is None or against is None:
        return "serving", f"beats {metrics['baseline_name']}"
    if not against.is_better:
        return "rejected", f"not surely 1 % better than {serving.model_id}: {against}"
    if not is_in_band(metrics, serving.metrics):
        return "rejected", f"better than {serving.model_id}, but what it claims does not hold: {against}"
    return "serving", f"better than {serving.model_id}: {against}"


# By hand --------------------------------------------------------------------------------------------------------------


def promote(connection: psycopg.Connection, model_id: str, reason: str) -> Model:
    """Put a version into service; the one that was there retires. Raises TidemarkError when it cannot serve."""
    with connection.transaction():
        _lock(connection)
        model = one(connection, model_id)
        serving = in_service(connection, model.name)
        if serving and serving.model_id == model_id:
            raise TidemarkError(f"Model {model_id} is in service already.")
        _replace(connection, model, serving, "retired", reason)
        audit.record(connection, "model.promote", model_id, reason=reason, before=serving and serving.model_id)
    return one(connection, model_id)


def roll_back(connection: psycopg.Connection, name: str, reason: str) -> Model:
    """Put the version that served before back into service, in one transaction; the present one is rejected.

    Doing it again goes one further back. Raises TidemarkError when there is none, or its artefact is not whole.
    """
    with connection.transaction():
        _lock(connection)
        serving = in_service(connection, name)
        row = connection.execute(
            """select models.model_id from ml.models as models
               join ml.model_stages as stages on stages.model_id = models.model_id and stages.stage = 'serving'
               where models.name = %s and models.stage = 'retired'
               order by stages.change_id desc limit 1""",
            [name],
        ).fetchone()
        if serving is None or row is None:
            what = "no model in service" if serving is None else "no version that served before"
            raise TidemarkError(f"{name} has {what}: see `./tidemark models list`.")
        before = one(connection, row[0])
        _replace(connection, before, serving, "rejected", reason)
        audit.record(connection, "model.roll_back", name, reason=reason, before=serving.model_id, now=before.model_id)
    return one(connection, before.model_id)


def shadow(connection: psycopg.Connection, model_id: str, share: float) -> Model:
    """Have a version predict beside the one in service: for nobody, or for a `share` (0..1) of people or series."""
    with connection.transaction():
        _lock(connection)
        model = one(connection, model_id)
        serving = in_service(connection, model.name)
        if serving is None or serving.model_id == model_id:
            raise TidemarkError(f"Model {model_id} has no other version in service to stand beside.")
        _check(model)
        beside = _one(connection, "name = %s and stage = 'shadow'", [model.name])
        if beside and beside.model_id != model_id:
            raise TidemarkError(f"Model {beside.model_id} is the shadow already: end it with `models retire` first.")
        reason = f"serves {share:.0%} beside {serving.model_id}"
        connection.execute("update ml.models set share = %s where model_id = %s", [share, model_id])
        _set_stage(connection, model_id, "shadow", reason)
        audit.record(connection, "model.shadow", model_id, share=share, beside=serving.model_id)
    return one(connection, model_id)


def retire(connection: psycopg.Connection, model_id: str) -> Model:
    """End a shadow. Raises TidemarkError for any other version: one in service is replaced, not ended."""
    with connection.transaction():
        _lock(connection)
        if one(connection, model_id).stage != "shadow":
            raise TidemarkError(f"Model {model_id} is no shadow: promote another version, or roll back.")
        _set_stage(connection, model_id, "rejected", "its time as a shadow ended")
        audit.record(connection, "model.retire", model_id)
    return one(connection, model_id)


def _replace(connection: psycopg.Connection, model: Model, serving: Model | None, stage: str, reason: str) -> None:
    _check(model)
    if serving:
        _set_stage(connection, serving.model_id, stage, f"{model.model_id} took its place: {reason}")
    _set_stage(connection, model.model_id, "serving", reason)


def _set_stage(connection: psycopg.Connection, model_id: str, stage: str, reason: str) -> None:
    query = "update ml.models set stage = %s, verdict = %s, share = case %s when 'shadow' then share else 0 end"
    connection.execute(f"{query} where model_id = %s", [stage, reason, stage, model_id])
    _remember_stage(connection, model_id, stage, reason)


def _remember_stage(connection: psycopg.Connection, model_id: str, stage: str, reason: str) -> None:
    connection.execute(
        "insert into ml.model_stages (model_id, stage, reason, actor) values (%s, %s, %s, %s)",
        [model_id, stage, reason, getpass.getuser()],
    )


def _lock(connection: psycopg.Connection) -> None:
    connection.execute("select pg_advisory_xact_lock(hashtext('ml.models'))")


# Looking up -----------------------------------------------------------------------------------------------------------


def one(connection: psycopg.Connection, model_id: str) -> Model:
    """Raises TidemarkError when there is no such version."""
    if found := _one(connection, "model_id = %s", [model_id]):
        return found
    raise TidemarkError(f"There is no model {model_id!r}: see `./tidemark models list`.")


def listed(connection: psycopg.Connection, name: str | None = None) -> list[Model]:
    """Every version that serves, shadows or was replaced, newest first; of one name, the rejected ones too."""
    condition = "name = %s" if name else "stage <> 'rejected'"
    with connection.transaction(), connection.cursor(row_factory=class_row(Model)) as cursor:
        query = f"select {_COLUMNS} from ml.models where {condition} order by name, version desc"
        return cursor.execute(query, [name] if name else []).fetchall()


def in_service(connection: psycopg.Connection, name: str) -> Model | None:
    return _one(connection, "name = %s and stage = 'serving'", [name])


def whole_in_service(connection: psycopg.Connection, name: str) -> tuple[str | None, bytes | None]:
    """What a challenger is compared with: the version in service and its artefact, which is None if it is not whole."""
    model = in_service(connection, name)
    if model is None:
        return None, None
    return model.model_id, None if fault(model) else _path(model).read_bytes()


def predicting(connection: psycopg.Connection, name: str) -> list[Model]:
    """The version in service, and the shadow if there is one."""
    shadow = _one(connection, "name = %s and stage = 'shadow'", [name])
    return [model for model in (in_service(connection, name), shadow) if model]


def already_judged(connection: psycopg.Connection, name: str, data_hash: str, parameters: dict) -> Model | None:
    """The model that the same data, parameters, code and libraries gave before, if it serves intact or was rejected.

    Training it again would give the same.
    """
    same = "name = %s and data_hash = %s and parameters = %s and libraries = %s and code = %s"
    values = [name, data_hash, Jsonb(parameters), Jsonb(libraries()), code()]
    found = _one(connection, f"{same} and stage <> 'retired' order by version desc limit 1", values)
    return found if found and (found.stage == "rejected" or fault(found) is None) else None


def load_artefact(model: Model) -> bytes:
    """The artefact's bytes. Raises TidemarkError when it is gone, or not what was registered under our key."""
    _check(model)
    return _path(model).read_bytes()


@cache
def libraries() -> dict[str, str]:
    """The versions of the libraries that models depend on."""
    return {name: version(name) for name in LIBRARIES}


@cache
def code() -> str:
    """A checksum of the code that learns: with it, the data and the libraries, a model can be made again."""
    files = [path for folder in CODE for path in sorted((ROOT / folder).rglob("*")) if path.suffix in (".py", ".sql")]
    contents = [f"{path.relative_to(ROOT)}\0{path.read_text(encoding='utf-8')}" for path in files]
    return sha256("\0".join(contents).encode()).hexdigest()[:16]


def _check(model: Model) -> None:
    if told := fault(model):
        raise TidemarkError(f"The artefact of model {model.model_id} {told}: train again.")


def fault(model: Model) -> str | None:
    """What is wrong with an artefact, as the end of a sentence; None when it is what was registered."""
    path = _path(model)
    if not path.is_file():
        return f"is missing at {path}"
    if sha256(path.read_bytes()).hexdigest() != model.sha256:
        return f"at {path} was changed after it was registered and is not loaded"
    if not hmac.compare_digest(model.hmac, _signature(model.model_id, model.sha256)):
        return "was not registered under this TIDEMARK_SECRET_KEY and is not loaded"
    return None


def _path(model: Model) -> Path:
    return settings().directory("models") / model.artefact


def _signature(model_id: str, checksum: str) -> str:
    """Binds the checksum to the model, so that one model's artefact cannot stand in for another's."""
    return hmac.new(settings().key, f"{model_id}\x1f{checksum}".encode(), sha256).hexdigest()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".part")
    half.write_bytes(content)
    half.replace(path)


def _one(connection: psycopg.Connection, condition: str, values: list) -> Model | None:
    with connection.transaction(), connection.cursor(row_factory=class_row(Model)) as cursor:
        return cursor.execute(f"select {_COLUMNS} from ml.models where {condition}", values).fetchone()
