"""Running dbt: where its project, its parsed manifest and its connection are. No Dagster here."""

import contextlib
import json
import os
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from orchestration.errors import TidemarkError
from orchestration.settings import ROOT, experiments, funnels, objectives, settings
from orchestration.transform import connections
from orchestration.warehouse import database

PROJECT = ROOT / "dbt_project"


def target() -> Path:
    """dbt's folder of outputs, one per home and database: dbt writes the database's name into its manifest."""
    return settings().directory(f"dbt/{database.name()}")


def manifest() -> Path:
    """The parsed project, `manifest.json`; parsed again only after a file of it changed."""
    path = target() / "manifest.json"
    newest = max(entry.stat().st_mtime for entry in PROJECT.rglob("*"))  # a folder's changes when a file leaves it
    if not path.exists() or path.stat().st_mtime < newest:
        with TemporaryDirectory(dir=target()) as fresh:  # whoever reads meanwhile finds the old one, whole
            _invoke(["parse", "--target-path", fresh], None)
            for name in ("partial_parse.msgpack", "manifest.json"):
                os.replace(Path(fresh) / name, target() / name)
    return path


@cache
def _parsed(path: Path, _changed: float):
    """dbt's own form of the manifest, as its parser left it: given to dbt, it spares it parsing."""
    from dbt.contracts.graph.manifest import Manifest

    parsed = Manifest.from_msgpack(path.read_bytes())
    parsed.build_flat_graph()
    return parsed


@contextlib.contextmanager
def _environment(connection: dict[str, str]) -> Iterator[None]:
    """The connection, where `profiles.yml` looks for it; telemetry off."""
    before = dict(os.environ)
    os.environ.update({f"TIDEMARK_PG_{key.upper()}": value for key, value in connection.items()})
    os.environ.update(DBT_SEND_ANONYMOUS_USAGE_STATS="false", DO_NOT_TRACK="1")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def configured() -> dict[str, dict]:
    """What models are written from besides their own text: funnels, objectives and experiments, times in seconds."""
    return {
        "funnels": {
            name: one.model_dump(mode="json") | {"within": one.within.total_seconds()}
            for name, one in funnels().items()
        },
        "objectives": {name: one.model_dump(mode="json") for name, one in objectives().items()},
        "experiments": {
            name: one.model_dump(mode="json") | {"windows": [window.total_seconds() for window in one.windows]}
            for name, one in experiments().items()
        },
    }


def run(arguments: list[str], **variables) -> list:
    """Run a dbt command in this process and return its results, one per node.

    The project's variables are those of the configuration, and `variables`.
    In this process, so that dbt ends with the run that started it, and is imported once. Not safe side by side:
    one run of the pipeline is one process. Raises TidemarkError with dbt's first message when a node failed.
    """
    parsed = manifest().with_name("partial_parse.msgpack")
    return _invoke(
        [*arguments, "--vars", json.dumps(configured() | variables), "--target-path", str(target()), "--no-write-json"],
        _parsed(parsed, parsed.stat().st_mtime),
    )


def _invoke(arguments: list[str], parsed) -> list:
    from dbt.cli.main import dbtRunner

    options = [
        "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--log-path", str(settings().directory("logs")),
        "--quiet", "--no-use-colors", "--log-level", "none", "--log-level-file", "info",
    ]  # fmt: skip
    parameters = database.parameters() if parsed else {"dbname": database.name()}  # parsing does not connect
    with _environment(parameters), connections.kept():
        result = dbtRunner(manifest=parsed).invoke([*arguments, *options])
    nodes = list(getattr(result.result, "results", []))
    if not result.success:
        failed = [node for node in nodes if node.status in ("error", "fail")]
        what = f"{failed[0].node.name}: {failed[0].message}" if failed else str(result.exception)
        raise TidemarkError(
            f"dbt {arguments[0]} failed at {' '.join(what.split())} (log: {settings().home}/logs/dbt.log)."
        )
    return nodes


def build(layers: str, high_mark: int) -> list:
    """Build the models of a layer, or of several with spaces between, up to the load `high_mark`.

    Views that this project made already stand, and dbt is not asked to look at them one by one: it takes longer over
    each than the database does over most tables. Returns dbt's result for each model that it looked at.
    """
    files, names = checksum(), layers.split()
    kinds = {layer: {*_relations(layer).values()} for layer in names}
    with database.connect("transformer") as connection:
        made = [layer for layer in names if "view" in kinds[layer] and _stands(connection, layer, files, ["view"])]
    asked = [layer for layer in names if layer not in made or kinds[layer] != {"view"}]
    if not asked:
        return []
    selected = [f"config.meta.layer:{layer}" for layer in asked]
    leave = [f"config.meta.layer:{layer},config.materialized:view" for layer in made]
    results = run(["run", "--select", *selected, *(["--exclude", *leave] if leave else [])], high_mark=high_mark)
    with database.connect("transformer") as connection:
        for layer in names:
            _remember_built(connection, layer, files)
    return [one for one in results if one.node.resource_type == "model"]


def checksum() -> str:
    """Of the project's files, by name and content, and of the configuration that models are written from."""
    files = sorted(path for path in PROJECT.rglob("*") if path.is_file())
    contents = b"".join(str(path).encode() + path.read_bytes() for path in files)
    return sha256(contents + json.dumps(configured()).encode()).hexdigest()


def stands_at(connection: psycopg.Connection, layer: str, high_mark: int) -> bool:
    """Whether a layer was built by the project as it is now, and every table of it stands at the mark or beyond."""
    marked = [name for name, kind in _relations(layer).items() if kind != "view"]
    return (
        _stands(connection, layer, checksum())
        and connection.execute(
            """select not exists (
                   select from unnest(%s::text[]) as name
                   where not exists (select from ops.tidemarks where table_name = name and load_id >= %s))""",
            [marked, high_mark],
        ).fetchone()[0]
    )


def _stands(connection: psycopg.Connection, layer: str, files: str, kinds: list[str] | None = None) -> bool:
    """Whether a layer was last built by the project of that checksum, and its relations (of some kinds) are there."""
    names = [name for name, kind in _relations(layer).items() if not kinds or kind in kinds]
    return connection.execute(
        """select exists (select from ops.layers where layer = %s and project = %s)
               and not exists (
                   select from unnest(%s::text[]) as name
                   where to_regclass(name) is null or name not in (select relation from ops.definitions))""",
        [layer, files, names],
    ).fetchone()[0]


def _relations(layer: str) -> dict[str, str]:
    """The relations of a layer that are made, by name, and how."""
    return {
        f"{node['schema']}.{node['alias']}": node["config"]["materialized"]
        for node in nodes().values()
        if node["config"].get("meta", {}).get("layer") == layer and node["config"]["materialized"] != "ephemeral"
    }


def _remember_built(connection: psycopg.Connection, layer: str, files: str) -> None:
    """Write down by which project a layer was built whole, and forget what every table built by entity has heard.

    A published table may hear of it many runs later, when the gate before it passes at last.
    """
    connection.execute(
        """insert into ops.layers (layer, project) values (%s, %s)
           on conflict (layer) do update set project = excluded.project, built_at = clock_timestamp()""",
        [layer, files],
    )
    by_entity = [f"{n['schema']}.{n['alias']}" for n in nodes().values() if n["config"].get("grain") == "entity"]
    connection.execute(
        """delete from ops.changed_entities where load_id <= (
               select min(coalesce(load_id, 0))
               from unnest(%s::text[]) as name left join ops.tidemarks on table_name = name)""",
        [by_entity],
    )


def nodes() -> dict[str, dict]:
    """Models and sources by their unique id, as dbt's manifest describes them."""
    path = manifest()
    return _nodes(path, path.stat().st_mtime)


@cache
def _nodes(path: Path, _changed: float) -> dict[str, dict]:
    parsed = json.loads(path.read_text())
    return parsed["nodes"] | parsed["sources"]
