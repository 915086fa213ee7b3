"""One Dagster asset a dbt model, one step a layer: what stands between two gates is one dbt invocation.

The specs are read from dbt's manifest here rather than by dagster-dbt, whose import alone takes longer than
definitions may take to load.
"""

from collections.abc import Iterator
from graphlib import TopologicalSorter

import dagster as dg

from orchestration.transform import project
from orchestration.warehouse import database, marks

# In the order in which they are built, with the gates between them.
LAYERS = {
    "staging": "Raw events as typed columns: views, nothing is stored.",
    "marts": "Hourly and daily tables, each complete up to its tide mark.",
    "published": "What people read: it moves on only when the gates below have passed.",
    "predictions": "Forecasts, anomalies and scores, published when their gates have passed.",
}


def asset_key(node: dict) -> dg.AssetKey:
    return dg.AssetKey([node["schema"], node.get("alias") or node["name"]])


def specs(nodes: dict[str, dict], layer: str) -> list[dg.AssetSpec]:
    """An asset spec for every model of a layer, with what it is made from, in the order in which they are built."""
    models = {
        name: node
        for name, node in nodes.items()
        if node["resource_type"] == "model" and node["config"]["meta"]["layer"] == layer
    }
    parents = {name: set(node["depends_on"]["nodes"]) & models.keys() for name, node in models.items()}
    return [
        dg.AssetSpec(
            asset_key(node),
            # ops.* says what to compute, not from what
            deps=sorted(
                {asset_key(nodes[name]) for name in node["depends_on"]["nodes"] if nodes[name]["schema"] != "ops"}
            ),
            group_name=node["schema"],
            description=node["description"] or None,
            kinds={"dbt", "postgres"},
        )
        for node in map(models.get, TopologicalSorter(parents).static_order())
    ]


def _layer_asset(layer: str, description: str, nodes: dict[str, dict]) -> dg.AssetsDefinition:
    @dg.multi_asset(name=layer, specs=specs(nodes, layer), description=description, can_subset=False)
    def build_layer(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        with database.connect("transformer") as connection:
            high_mark = marks.high_mark(connection, context.run.run_id)
            if layer == "predictions":  # they know what was published when they were made, and no more
                high_mark = marks.mark(connection, "views.metric_daily")
            if layer == "published" and not connection.execute("select to_regclass('api.forecasts')").fetchone()[0]:
                project.build("predictions", high_mark)  # empty still, but there for those who read them
            is_current = layer != "predictions" and project.stands_at(connection, layer, high_mark)
        results = [] if is_current else project.build(layer, high_mark)
        seconds = {asset_key(nodes[one.node.unique_id]): round(one.execution_time, 3) for one in results}
        for spec in specs(nodes, layer):
            took = {"seconds": seconds[spec.key]} if spec.key in seconds else {}
            yield dg.MaterializeResult(asset_key=spec.key, metadata={"tide mark": high_mark, **took})

    return build_layer


_nodes = project.nodes()

assets = [_layer_asset(layer, description, _nodes) for layer, description in LAYERS.items()]
