"""Who sees what, on a server with passwords: the access list, the leaks that are known, and the way back to a person."""

import random
from datetime import date, timedelta

import psycopg
import pytest

from orchestration.errors import TidemarkError
from orchestration.warehouse import access, audit, database
from tests.access import world

BOSS = {"login": "boss", "scope": "all"}
DASHBOARD = {"login": "dashboard", "role": "analyst", "scope": "all"}


def rows(connection: psycopg.Connection, relation: str) -> list[str]:
    return sorted(row for (row,) in connection.execute(f"select known::text from {relation} as known"))


def relations(connection: psycopg.Connection, schema: str = "api") -> list[str]:
    query = "select schemaname || '.' || viewname from pg_views where schemaname = %s order by 1"
    return [name for (name,) in connection.execute(query, [schema])]


@pytest.fixture(scope="module", autouse=True)
def everything(guarded) -> dict[str, list[dict]]:
    """All rows of `api`, by relation, as the superuser sees them."""
    everything = {}
    for relation in relations(guarded.admin):
        with guarded.admin.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            everything[relation] = cursor.execute(
                f"select known.*, known::text as row from {relation} as known"
            ).fetchall()
    assert len(everything["api.learners"]) == 10
    assert len(everything["api.customers"]) == 12
    return everything


# What was meant, in words of its own: a relation's rows by what the list says -----------------------------------------

PERSON = {
    "api.learners", "api.learner_measures", "api.learner_insights", "api.learner_recommendations", "api.leaderboard",
    "api.user_daily", "api.churn_scores", "api.room_users", "api.customers",
}  # fmt: skip
TAUGHT = {
    "api.learners", "api.learner_measures", "api.learner_insights", "api.learner_recommendations", "api.leaderboard",
    "api.churn_scores",
}  # fmt: skip
ANYONE = {"api.metrics", "api.lineage", "api.days", "api.freshness", "api.models"}


def is_meant(relation: str, row: dict, scope: dict[str, list[str]]) -> bool | None:
    """Whether a reader with this scope should see the row; None for totals, which have rules of their own."""
    mine, classes = set(scope.get("self", [])), scope.get("classes", [])
    taught = {user for name in classes for user in world.CLASSES[name]}
    if relation in ANYONE:
        return True
    if relation in PERSON:
        return row["user_id"] in mine or (relation in TAUGHT and row["user_id"] in taught)
    match relation:
        case "api.learning_periods":
            if row["scope"] == "learner":
                return row["name"] in mine | taught
            return row["scope"] == "class" and row["name"] in classes
        case "api.preferences":
            known = {"user": mine, "room": set(scope.get("rooms", []))}
            return row["name"] in known.get(row["scope"], ())
        case "api.rooms":
            return row["room_id"] in scope.get("rooms", []) or row["host"] in mine
        case "api.sellers" | "api.transaction_faults":
            return row["seller_id"] in scope.get("shops", [])
        case "api.metric_hourly" | "api.metric_daily" | "api.metric_period":
            return is_told(relation, row, scope.get("systems", []))
    return None


def is_told(relation: str, row: dict, systems: list[str]) -> bool | None:
    metric, dimension = row["metric"], row["segment"].split("=")[0]
    if metric not in world.SYSTEM_OF:
        return None
    if world.SYSTEM_OF[metric] not in systems:
        return False
    if world.SYSTEM_OF[metric] == "system":
        return True
    if relation == "api.metric_period":
        days = [row["start_date"] + timedelta(days=n) for n in range((row["end_date"] - row["start_date"]).days)]
    else:
        days = [row["hour"].date() if relation == "api.metric_hourly" else row["day"]]
    return world.is_open(metric, dimension, days, hours=relation == "api.metric_hourly")


def random_scope(rng: random.Random) -> dict[str, list[str]]:
    items = {
        "self": world.PEOPLE, "classes": list(world.CLASSES), "shops": world.SELLERS, "rooms": list(world.ROOMS),
        "systems": ["engagement", "learning", "rooms", "shop", "marketplace", "system"],
    }  # fmt: skip
    scopes = rng.sample(list(items), rng.choice([1, 1, 2, 3]))
    return {scope: rng.sample(items[scope], rng.randint(1, min(3, len(items[scope])))) for scope in scopes}


def test_fifty_random_access_lists_show_what_was_meant(guarded, everything):
    rng = random.Random(7)
    readers = [{"login": f"reader_{n}", "scope": random_scope(rng)} for n in range(50)]
    guarded.grant([*readers, BOSS])
    differing = []
    for reader in readers:
        with guarded.as_login(reader["login"]) as connection:
            for relation, all_rows in everything.items():
                meant = [(row["row"], is_meant(relation, row, reader["scope"])) for row in all_rows]
                if relation in ("api.opportunities", "api.held_values"):  # named in no rule
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        rows(connection, relation)
                elif any(is_meant is not None for _, is_meant in meant):
                    judged = {row for row, is_meant in meant if is_meant is not None}
                    seen = [row for row in rows(connection, relation) if row in judged or not meant]
                    if seen != sorted(row for row, is_meant in meant if is_meant):
                        differing.append((reader["login"], reader["scope"], relation))
    assert differing == []
    with guarded.as_login("boss") as connection:  # and who sees everything sees everything
        for relation in ("api.learners", "api.metric_hourly", "api.executive_summary", "api.customers"):
            assert rows(connection, relation) == sorted(row["row"] for row in everything[relation])
    for reader in readers[:3]:  # what is told to them is what they would see themselves
        with access.reader(reader["login"]) as told, guarded.as_login(reader["login"]) as own:
            for relation in ("api.learners", "api.metric_daily", "api.sellers", "api.user_daily"):
                assert rows(told, relation) == rows(own, relation)
