"""Which tables a rule's figures are made of, by dbt's lineage. It reads the parsed project; nothing is judged here."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from orchestration.errors import TidemarkError
from orchestration.settings import (
    AnomalyRule,
    ForecastRule,
    MetricRule,
    ObjectiveRule,
    RowsRule,
    Rule,
    settings,
)
from orchestration.warehouse import database

# What a rule of a step reads; the way of a metric's figures leads there.
_LONG = {"minute": "api.metric_minutes", "hour": "api.metric_hourly", "day": "api.metric_daily"}


@dataclass(frozen=True)
class Lineage:
    """`relations`: by relation, all that it is made of, itself included. `metrics`: what each is first counted in.

    `entries`: by relation, the staging tables that it or what it is made of reads, but for what staging reads itself.
    """

    relations: dict[str, frozenset[str]] = field(default_factory=dict)
    metrics: dict[str, frozenset[str]] = field(default_factory=dict)
    entries: dict[str, frozenset[str]] = field(default_factory=dict)

    @property
    def staging(self) -> list[str]:
        return sorted(name for name in self.relations if name.startswith("staging."))

    def depends(self, rule: Rule) -> frozenset[str]:
        """The tables that must be right for a rule to mean anything."""
        match rule:
            case RowsRule():
                return self.relations.get(f"api.{rule.view}", frozenset())
            case MetricRule():
                reads = [_LONG[rule.step]]
                reads += ["api.anomalies"] if isinstance(rule, AnomalyRule) else []
                reads += ["api.forecasts"] if isinstance(rule, ForecastRule) else []
                counted = self._counted(rule)
                return frozenset().union(*(self._way(counted, relation) for relation in reads))
        return frozenset()

    def feeds(self, rule: Rule) -> frozenset[str]:
        """The staging tables whose rows a rule's figures come from: a source that has none in them cannot move it."""
        match rule:
            case RowsRule():
                return self.entries.get(f"api.{rule.view}", frozenset())
            case MetricRule():
                return frozenset().union(*(self.entries.get(table, frozenset()) for table in self._counted(rule)))
        return frozenset()

    def _counted(self, rule: MetricRule) -> frozenset[str]:
        names = [rule.metric, rule.of] if isinstance(rule, ObjectiveRule) else [rule.metric]
        return frozenset().union(*(self.metrics.get(name, frozenset()) for name in names))

    def _way(self, counted: frozenset[str], relation: str) -> frozenset[str]:
        """What the counted tables are made of, and what is made of them on the way to a relation."""
        above = self.relations.get(relation, frozenset())
        before = frozenset().union(*(self.relations.get(table, frozenset()) for table in counted))
        if relation == _LONG["minute"]:  # minutes are counted apart, from the same staging tables
            before = frozenset(table for table in before if table.startswith(("raw.", "staging.")))
            counted = frozenset(table for table in before if table.startswith("staging."))
        between = {table for table in above if self.relations[table] & counted}
        own = {table for table in above if table.startswith("ml.")}
        return before | between | own


def manifest() -> Path:
    """Where dbt's parsed project is."""
    return settings().directory(f"dbt/{database.name()}") / "manifest.json"


def read() -> Lineage:
    """The lineage of the project as it was last parsed. Raises TidemarkError when it never was."""
    path = manifest()
    if not path.exists():
        raise TidemarkError(f"{path} does not exist, so nobody knows what depends on what: run `./tidemark refresh`.")
    return _read(path, path.stat().st_mtime)


@cache
def _read(path: Path, _changed: float) -> Lineage:
    return of_manifest(json.loads(path.read_text()))


def of_manifest(parsed: dict) -> Lineage:
    """The lineage that dbt's manifest tells."""
    nodes = parsed["nodes"] | parsed["sources"]
    names = {
        key: f"{node['schema']}.{node.get('alias') or node['name']}"
        for key, node in nodes.items()
        if node["resource_type"] in ("model", "source")
    }
    parents = {
        name: [names[parent] for parent in nodes[key].get("depends_on", {}).get("nodes", []) if parent in names]
        for key, name in names.items()
    }
    measured = {
        measure["name"]: names[model]
        for semantic in parsed["semantic_models"].values()
        for measure in semantic["measures"]
        for model in semantic["depends_on"]["nodes"]
        if model in names
    }
    known = {metric["name"]: metric for metric in parsed["metrics"].values()}
    closures = _closures(parents)
    entries = {
        name: frozenset(
            parent
            for table in closure
            if not table.startswith(("raw.", "staging."))
            for parent in parents[table]
            if parent.startswith("staging.")
        )
        for name, closure in closures.items()
    }
    return Lineage(
        relations=closures,
        entries=entries,
        metrics={name: frozenset(measured[one] for one in _measures(metric, known)) for name, metric in known.items()},
    )


def _measures(metric: dict, known: dict[str, dict]) -> Iterable[str]:
    parts = metric["type_params"]
    if metric["type"] != "ratio":
        return [parts["measure"]["name"]]
    return [one for side in ("numerator", "denominator") for one in _measures(known[parts[side]["name"]], known)]


def _closures(parents: dict[str, list[str]]) -> dict[str, frozenset[str]]:
    closures: dict[str, frozenset[str]] = {}

    def closure(name: str) -> frozenset[str]:
        if name not in closures:
            closures[name] = frozenset({name}).union(*(closure(parent) for parent in parents.get(name, [])))
        return closures[name]

    for name in parents:
        closure(name)
    return closures
