"""Versions of models in `ml.models` and their artefacts under TIDEMARK_HOME: which serves, and that none was edited."""

import hmac
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Literal, TypedDict

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from orchestration.errors import TidemarkError
from orchestration.settings import settings

LIBRARIES = ("lightgbm", "numpy", "pandas", "prophet", "scikit-learn", "statsforecast")
_COLUMNS = "model_id, name, version, stage, metrics, load_id, data_hash, parameters, libraries, artefact, sha256, hmac"


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


def beats_baseline(metrics: Metrics) -> bool:
    """Whether a model is better than its baseline out of sample. Equal, or not a number, is not better."""
    if metrics["better"] == "lower":
        return metrics["value"] < metrics["baseline"]
    return metrics["value"] > metrics["baseline"]


def register(
    connection: psycopg.Connection,
    name: str,
    artefact: bytes,
    metrics: Metrics,
    load_id: int,
    data_hash: str,
    parameters: dict,
) -> Model:
    """Keep a newly trained model, and put it into service if it beats its baseline; else it is `rejected`.

    The model that was in service retires in the same transaction, and stays when the new one is rejected.
    """
    checksum = sha256(artefact).hexdigest()
    path = Path(name) / checksum[:24]
    _write(settings().directory("models") / path, artefact)
    stage = "serving" if beats_baseline(metrics) else "rejected"
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtext('ml.models'))")
        query = "select coalesce(max(version), 0) + 1 from ml.models where name = %s"
        number = connection.execute(query, [name]).fetchone()[0]
        if stage == "serving":
            connection.execute("update ml.models set stage = 'retired' where name = %s and stage = 'serving'", [name])
        model_id = f"{name}-{number}"
        connection.execute(
            f"insert into ml.models ({_COLUMNS}) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                model_id,
                name,
                number,
                stage,
                Jsonb(metrics),
                load_id,
                data_hash,
                Jsonb(parameters),
                Jsonb(libraries()),
                str(path),
                checksum,
                _signature(model_id, checksum),
            ],
        )
    return _one(connection, "model_id = %s", [model_id])


def in_service(connection: psycopg.Connection, name: str) -> Model | None:
    return _one(connection, "name = %s and stage = 'serving'", [name])


def already_judged(connection: psycopg.Connection, name: str, data_hash: str, parameters: dict) -> Model | None:
    """The model that the same data, parameters and library versions gave before, if it serves intact or was rejected.

    Training it again would give the same.
    """
    same = "name = %s and data_hash = %s and parameters = %s and libraries = %s and stage in ('serving', 'rejected')"
    values = [name, data_hash, Jsonb(parameters), Jsonb(libraries())]
    found = _one(connection, f"{same} order by version desc limit 1", values)
    return found if found and (found.stage == "rejected" or _fault(found) is None) else None


def load_artefact(model: Model) -> bytes:
    """The artefact's bytes. Raises TidemarkError when it is gone, or not what was registered under our key."""
    if fault := _fault(model):
        raise TidemarkError(f"The artefact of model {model.model_id} {fault}: train again.")
    return _path(model).read_bytes()


@cache
def libraries() -> dict[str, str]:
    """The versions of the libraries that models depend on."""
    return {name: version(name) for name in LIBRARIES}


def _fault(model: Model) -> str | None:
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
