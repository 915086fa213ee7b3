"""The dbt project as a whole: what Dagster shows of it, its own tests, and the page of metrics."""

import random
import re

import dagster as dg
import psycopg2
import pytest

from orchestration.errors import TidemarkError
from orchestration.settings import ROOT
from orchestration.transform import catalogue
from orchestration.warehouse import audit, marks
from tests.transform.events import load, random_events


def test_the_page_of_metrics_is_that_of_the_catalogue(dbt):
    assert catalogue.PAGE.read_text() == catalogue.page(), "run: python -m orchestration.transform.catalogue"


def test_python_and_sql_read_the_same_catalogue(dbt, connection):
    dbt.build("staging marts published", 0)
    rows = connection.execute(
        """select metric, description, system, owner, unit, good_direction, grain, adds_up, segments
           from api.metrics order by 1"""
    ).fetchall()
    metrics = catalogue.metrics()
    assert len(metrics) >= 20
    assert rows == [
        (one.name, one.description, one.system, one.owner, one.unit, one.good_direction, one.grain, one.adds_up,
         list(one.segments))
        for one in metrics
    ]  # fmt: skip


def test_people_can_read_what_a_figure_is_made_from_and_who_saw_personal_data(dbt, connection):
    """Down to the sources, each step made of the next ones: revenue of orders, of lines, of events."""
    dbt.build("staging marts published", 0)

    def ask(query: str) -> list[tuple]:
        return connection.execute(query).fetchall()

    figures = {figure for (figure,) in ask("select distinct figure from api.lineage where kind = 'metric'")}
    assert figures == {one.name for one in catalogue.metrics()}
    revenue = dict(ask("select relation, made_from from api.lineage where figure = 'revenue'"))
    assert revenue["marts.shop_hourly"] == "intermediate.int_order_hours"
    assert revenue["intermediate.int_order_hours"] == "staging.stg_order_lines"
    assert revenue["staging.stg_events"] == "raw.events" and revenue["raw.events"] == ""
    lost = """select lineage.figure, lineage.relation, made
              from api.lineage
              cross join unnest(string_to_array(nullif(made_from, ''), ', ')) as made
              left join api.lineage as next on next.figure = lineage.figure and next.relation = made
              where next.figure is null"""
    assert ask(lost) == []
    assert ask("select relation from api.lineage where description = '' and relation not like 'ml.%'") == []

    audit.record(connection, "exported", "api.customers", actor="ann", personal=["user_id", "country"], rows=12)
    audit.record(connection, "exported", "api.metrics", actor="ann", rows=40)
    seen = ask("select actor, action, subject, field, rows from api.personal_data_access order by field")
    assert seen == [("ann", "exported", "api.customers", field, 12) for field in ("country", "user_id")]


def test_every_metric_of_the_catalogue_says_all_that_it_has_to(dbt):
    for one in catalogue.metrics():
        assert one.description and one.system and one.owner
        assert one.unit in ("count", "money", "score", "seconds", "rate", "ms")
        assert one.good_direction in ("up", "down")
        assert one.adds_up in ("sum", "distinct", "ratio", "percentile")
        assert one.unit != "money" or "currency" in one.segments or one.name.startswith("converted_")


def test_every_event_type_of_the_vocabulary_belongs_to_a_system(dbt):
    from orchestration.ingest.consent import GIVEN, WITHDRAWN
    from orchestration.ingest.contract import VOCABULARY

    model = (dbt.PROJECT / "models" / "staging" / "stg_events.sql").read_text()
    known = set(re.findall(r"'(\w+_\w+)'", model.split("else 'other'")[0]))
    assert known - {"up_to", GIVEN, WITHDRAWN} == VOCABULARY - {GIVEN, WITHDRAWN}


def test_every_model_builds_and_every_dbt_test_passes(dbt, connection):
    load(connection, random_events(random.Random(11), 300))
    results = dbt.run(["build"])
    kinds = [str(result.node.resource_type) for result in results]
    assert {str(result.status) for result in results} == {"success", "pass", "no-op"}  # an exposure is not run
    assert kinds.count("model") >= 36
    assert kinds.count("unit_test") >= 6
    assert kinds.count("test") >= 5


def test_a_dbt_test_fails_when_an_hour_is_wrong(dbt, connection):
    load(connection, random_events(random.Random(12), 100))
    dbt.build("staging marts published", 1)
    connection.execute("update marts.metric_hourly set value = value + 1 where metric = 'events'")
    connection.commit()
    with pytest.raises(TidemarkError, match="hours_sum_to_days"):
        dbt.run(["test", "--select", "hours_sum_to_days"])


CHANGES = {
    "user_state_counts": "delete from marts.user_states where user_id = (select min(user_id) from marts.user_states)",
    "entity_quarters": "update intermediate.int_entities_daily set entity = upper(entity) where segment = 'all'",
    "entity_counts": "delete from intermediate.int_entities_daily where measure = 'active_users'",
    "bucket_counts": """insert into intermediate.int_values_daily
                        select day, measure, segment, bucket + 1000, 7, observed from intermediate.int_values_daily""",
}


def test_a_tally_is_kept_whoever_changes_the_rows(dbt, connection):
    load(connection, random_events(random.Random(13), 200))
    dbt.build("staging marts", 1)
    for tally, change in CHANGES.items():
        before = set(connection.execute(f"select * from {tally_of(connection, tally)}"))
        assert connection.execute(change).rowcount > 0
        assert set(connection.execute(f"select * from {tally_of(connection, tally)}")) != before
    connection.commit()
    dbt.run(["test", "--select", "tallies_are_true"])
    connection.execute("update marts.user_state_counts set total = total + 1")
    connection.commit()
    with pytest.raises(TidemarkError, match="tallies_are_true"):
        dbt.run(["test", "--select", "tallies_are_true"])


def tally_of(connection, name: str) -> str:
    return connection.execute(
        "select oid::regclass::text from pg_class where relname = %s and relkind = 'r'", [name]
    ).fetchone()[0]


def test_dbt_keeps_its_connections_from_model_to_model_and_leaves_none(dbt, connection, monkeypatch):
    opened, connect = [], psycopg2.connect

    def note(*arguments, **options):
        opened.append(connect(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr(psycopg2, "connect", note)
    load(connection, random_events(random.Random(14), 20))
    assert len(dbt.build("staging marts published", 1)) > 50
    assert 0 < len(opened) <= 4 and all(one.closed for one in opened)
    connection.execute("alter table marts.metric_hourly drop column value cascade")
    connection.commit()
    load(connection, random_events(random.Random(15), 40))
    with pytest.raises(TidemarkError, match="metric_hourly"):
        dbt.build("staging marts published", 2)
    assert all(one.closed for one in opened)


def test_touching_hours_has_them_computed_again(dbt, connection):
    load(connection, random_events(random.Random(13), 60))
    dbt.build("staging marts published", 1)
    query = "select coalesce(sum(value), 0) from marts.metric_hourly where metric = 'events'"
    right = connection.execute(query).fetchone()
    first, last = connection.execute("select min(occurred_at), max(occurred_at) from raw.events").fetchone()
    connection.execute("select setval('raw.load_ids', 1)")
    connection.execute("update marts.metric_hourly set value = value + 1")
    assert marks.touch_hours(connection, first.replace(minute=0), last) > 0
    connection.commit()
    dbt.build("staging marts published", 2)
    assert connection.execute(query).fetchone() == right


def test_dagster_shows_each_model_once_with_what_it_is_made_from(dbt):
    from orchestration import fast
    from orchestration.transform import assets

    specs = {spec.key: spec for layer in [*assets.assets, *fast.assets] for spec in layer.specs}
    models = [node for node in dbt.nodes().values() if node["resource_type"] == "model"]
    assert len(specs) == len(models)
    order_lines = specs[dg.AssetKey(["staging", "stg_order_lines_checked"])]
    assert [dep.asset_key for dep in order_lines.deps] == [dg.AssetKey(["staging", "stg_events"])]
    published = specs[dg.AssetKey(["views", "metric_daily"])]
    assert [dep.asset_key for dep in published.deps] == [dg.AssetKey(["marts", "metric_daily"])]
    assert all(spec.description for spec in specs.values())


def test_a_layer_is_built_only_when_it_has_to_be(dbt, connection):
    load(connection, random_events(random.Random(14), 20))

    def stands_at(mark: int, layer: str = "marts") -> bool:
        found = dbt.stands_at(connection, layer, mark)
        connection.rollback()
        return found

    assert stands_at(0) and not stands_at(1)
    dbt.build("staging marts", 1)
    assert stands_at(1) and stands_at(0) and stands_at(2, "staging")
    assert not stands_at(2)
    assert not stands_at(1, "published")
    connection.execute("drop view staging.stg_room_events cascade")
    assert not dbt.stands_at(connection, "staging", 1)
    connection.rollback()
    connection.execute("update ops.layers set project = 'older files'")
    assert not dbt.stands_at(connection, "marts", 1)


def test_views_are_looked_at_only_where_they_may_not_stand(dbt, connection):
    assert dbt.build("staging", 0) == []
    assert {one.node.config.materialized for one in dbt.build("published", 0)} == {"matview", "tide"}
    connection.execute("drop view staging.stg_room_events_checked cascade")
    connection.commit()
    assert len(dbt.build("staging", 0)) == len(list((ROOT / "dbt_project/models/staging").glob("*.sql")))
    assert connection.execute("select count(*) from staging.stg_room_events").fetchone() == (0,)


def test_with_nothing_new_dbt_is_not_even_asked(dbt, connection, monkeypatch):
    from orchestration.transform import assets

    load(connection, random_events(random.Random(15), 20))
    layers = [layer for layer in assets.assets if layer.op.name in ("staging", "marts", "published")]
    assert dg.materialize(layers).success
    monkeypatch.setattr(dbt, "build", lambda *_: pytest.fail("nothing is new"))
    again = dg.materialize(layers)
    assert again.success
    assert len(again.get_asset_materialization_events()) == sum(len(list(layer.specs)) for layer in layers)
