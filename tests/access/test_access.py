"""Who sees what, on a server with passwords: the access list, known leaks, and the way back to a person."""

import getpass
import random
from datetime import UTC, date, datetime, timedelta

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
    "api.user_daily", "api.churn_scores", "api.room_users", "api.customers", "api.without_consent",
}  # fmt: skip
TAUGHT = {
    "api.learners", "api.learner_measures", "api.learner_insights", "api.learner_recommendations", "api.leaderboard",
    "api.churn_scores", "api.without_consent",
}  # fmt: skip
# People stand behind these and are not counted, or they say how the pipeline itself does: for readers of everything.
CLOSED = {
    "api.content", "api.content_momentum", "api.top_content", "api.content_gaps", "api.products", "api.opportunities",
    "api.basket_companions", "api.price_recommendations", "api.experiment_results", "api.model_performance",
    "api.drift", "api.reconciliation", "api.held_values", "api.gate_results", "api.loads", "api.quarantine",
    "api.unusual_behaviour", "api.personal_data_access", "api.buyers",
}  # fmt: skip
MACHINES = {"api.incidents", "api.restatements", "api.metric_minutes", "api.windows"}
ANYONE = {"api.metrics", "api.lineage", "api.days", "api.freshness", "api.models"}


def is_meant(relation: str, row: dict, scope: dict[str, list[str]]) -> bool | None:
    """Whether a reader with this scope should see the row; None for totals, which have rules of their own."""
    mine, classes = set(scope.get("self", [])), scope.get("classes", [])
    taught = {user for name in classes for user in world.CLASSES[name]}
    if relation in ANYONE:
        return True
    if relation in CLOSED:
        return False
    if relation in MACHINES:
        return "system" in scope.get("systems", []) and world.SYSTEM_OF.get(row["metric"]) == "system"
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
                if any(is_meant is not None for _, is_meant in meant):
                    judged = {row for row, is_meant in meant if is_meant is not None}
                    seen = [row for row in rows(connection, relation) if row in judged or not meant]
                    if seen != sorted(row for row, is_meant in meant if is_meant):
                        differing.append((reader["login"], reader["scope"], relation))
    assert differing == []
    with guarded.as_login("boss") as connection:  # and who sees everything sees everything
        for relation in set(everything) - {"api.windows"}:  # which end now, and now is later
            assert rows(connection, relation) == sorted(row["row"] for row in everything[relation]), relation


def test_an_anomaly_is_told_without_the_figures_of_others_that_account_for_it(guarded):
    guarded.grant([BOSS, {"login": "ana", "scope": {"systems": ["learning"]}}])
    of_others = '{"segments": [{"segment": "skill=a", "value": 1}], "moved_along": [{"series_id": "revenue"}]}'
    guarded.admin.execute(
        """insert into ml.models (model_id, name, version, stage, metrics, load_id, data_hash, parameters, libraries)
           values ('anomalies-1', 'anomalies', 1, 'serving', '{}', 0, '', '{}', '{}')"""
    )
    for series in ("lessons_completed", "revenue"):
        guarded.admin.execute(
            """insert into ml.anomalies (series_id, ds, value, score, is_anomaly, expected, lo, hi, model_id, load_id,
                                         explanation)
               values (%s, %s, 12, 1, true, 1, 0, 2, 'anomalies-1', 0, %s)""",
            [series, datetime(*world.FIRST.timetuple()[:3], 10, tzinfo=UTC), of_others],
        )
    guarded.admin.execute("refresh materialized view views.anomalies")
    query = "select metric, explanation is not null from api.anomalies order by 1"
    with guarded.as_login("ana") as own, guarded.as_login("boss") as whole:
        assert own.execute(query).fetchall() == [("lessons_completed", False)]
        assert whole.execute(query).fetchall() == [("lessons_completed", True), ("revenue", True)]
    guarded.admin.execute("delete from ml.anomalies; delete from ml.models; refresh materialized view views.anomalies")


@pytest.fixture
def ana(guarded):
    """A learner, a mentor of k1 and a reader of totals, each connected with their own password."""
    scopes = {"ana": {"self": ["u02"]}, "mentor": {"classes": ["k1"]}, "totals": {"systems": ["engagement", "shop"]}}
    guarded.grant([BOSS, DASHBOARD, *({"login": login, "scope": scope} for login, scope in scopes.items())])
    with guarded.as_login("ana") as connection:
        yield connection


HIDDEN, ABSENT = "u03", "nobody-at-all"  # a person whom ana may not see, and nobody
BY_PERSON = "select {what} from api.{relation} where user_id = '{user}'"


def plan(connection, relation: str, user: str) -> str:
    query = BY_PERSON.format(what="*", relation=relation, user=user)
    lines = connection.execute(f"explain (analyze, costs on, timing off, summary off, buffers off) {query}").fetchall()
    return "\n".join(line for (line,) in lines).replace(user, "?")


def test_one_person_is_looked_up_without_statistics_of_people(guarded):
    guarded.grant([BOSS])
    relations = ("learners", "user_daily", "learner_measures", "learner_recommendations")
    with guarded.as_login("boss") as boss:
        for connection in (boss, guarded.admin):
            connection.execute("set enable_seqscan = off")
            plans = {relation: plan(connection, relation, "u02") for relation in relations}
            assert [relation for relation in relations if "_by_name" not in plans[relation]] == []
            assert [relation for relation in relations if "CTE skills" in plans[relation]] == []  # of everybody
            connection.execute("reset enable_seqscan")
    guarded.admin.execute("analyze")
    assert guarded.admin.execute("select count(*) from pg_stats where tablename ~ '_by_name$'").fetchone() == (0,)


def test_no_way_leads_round_the_list(ana, guarded):
    """COPY, functions, error texts, statistics and plans: what is told of a hidden person is what is told of nobody."""
    for relation in ("learners", "user_daily", "customers", "learner_measures"):
        with ana.cursor() as cursor, cursor.copy(f"copy (select * from api.{relation}) to stdout") as copy:
            assert HIDDEN.encode() not in b"".join(bytes(block) for block in copy)
        for way in ("on", "off"):  # as in a small table, and as in a large one
            ana.execute(f"set enable_seqscan = {way}")
            hidden, absent = (plan(ana, relation, user) for user in (HIDDEN, ABSENT))
            assert hidden == absent
        ana.execute("reset enable_seqscan")
        # an error that a hidden row would raise, and one that would quote it
        assert ana.execute(
            f"select count(*) from api.{relation} where 1 / (case when user_id = '{HIDDEN}' then 0 else 1 end) = 1"
        ).fetchone()
        with pytest.raises(psycopg.errors.DataError) as raised:
            ana.execute(f"select count(*) from api.{relation} where user_id::integer = 1")
        assert "u02" in str(raised.value)
    assert {name for (name,) in ana.execute("select schemaname from pg_stats")} <= {
        "pg_catalog",
        "information_schema",
        "ops",
    }
    assert ana.execute("select * from ops.my_learners()").fetchall() == []  # hers are none
    for forbidden in (
        "select * from views.learners", "select * from marts.learners", "select * from raw.events",
        "select * from analysis.learners", "select * from ops.pseudonyms", "select * from ops.access_list",
        "select ops.person_behind('pn_1')", "select ops.name_people()",
        "create table api.mine (x text)", "create temporary table mine (x text)", "create schema mine",
        "create function pg_temp.leak(text) returns boolean language sql as 'select true'",
        "set role transformer", "set role report", "set session authorization boss",
        "set row_security = off; table api.learners",
        "copy views.learners to stdout", "refresh materialized view views.churn_scores",
        "insert into ops.access_list values ('ana', 'all', '')", "grant reader to ana",
        "alter view api.learners set (security_invoker = off)", "select pg_read_file('/etc/hostname')",
    ):  # fmt: skip
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ana.execute(forbidden)
    ana.execute("select set_config('app.user', 'boss', false), set_config('tidemark.reader', 'boss', false)")
    assert {user for (user,) in ana.execute("select user_id from api.learners")} == {"u02"}
    with pytest.raises(psycopg.errors.OperationalError, match="password"):
        guarded.as_login("ana", password="guessed")
    with psycopg.connect(guarded.url) as own, pytest.raises(psycopg.errors.InsufficientPrivilege):
        own.execute("set role postgres")


def test_totals_are_of_five_people_and_leave_no_remainder_of_fewer(ana, guarded):
    """Nothing is told of fewer than five; and no sum of what is told, less other sums, is that of fewer."""
    with guarded.as_login("totals") as connection:
        told = {
            relation: connection.execute(
                f"select * from api.{relation} where metric in ('orders', 'events')"
            ).fetchall()
            for relation in ("metric_hourly", "metric_daily", "metric_period")
        }
        assert connection.execute("select * from api.metric_daily where metric = 'lessons_completed'").fetchall() == []
        summary = {row[0] for row in connection.execute("select metric from api.executive_summary")}
    thin, dollars = world.THIN_DAY, world.DOLLAR_DAY
    days = {(metric, segment, day) for metric, segment, day, *_ in told["metric_daily"]}
    assert ("orders", "all", dollars) in days  # eleven people in euros
    assert not {key for key in days if key[2] == thin}
    assert not {key for key in days if key[0] == "orders" and key[1] != "all" and key[2] == dollars}, (
        "u03 alone pays in $"
    )
    assert ("orders", "currency=EUR", dollars + timedelta(days=1)) in days
    assert not [row for row in told["metric_hourly"] if row[0] == "events"], "somebody is alone at night on each day"
    assert {row[2].hour for row in told["metric_hourly"] if row[0] == "orders"} == {11}
    # the second week has no thin day; the first, and every month, quarter and window with it, is not told
    assert {row[3] for row in told["metric_period"]} == {world.FIRST + timedelta(days=7)}
    assert summary == set()
    # Differencing: figures are sums of days and segments that are told themselves, or of none of them.
    weeks = {(row[0], row[1]): row[5] for row in told["metric_period"] if row[0] == "orders"}
    for (metric, segment), value in weeks.items():
        parts = [
            row[3]
            for row in told["metric_daily"]
            if row[:2] == (metric, segment) and row[2] >= world.FIRST + timedelta(7)
        ]
        assert len(parts) == 7 and sum(parts) == value
    with guarded.as_login("mentor") as connection:
        assert connection.execute("select count(*) from api.metric_daily").fetchone() == (0,)


LEAKS = {
    "grant select on views.churn_scores to reader": "it is a materialized view",
    "create view api.all_learners as select * from views.learners; grant select on api.all_learners to reader":
        "runs with its owner's rights and is no barrier",
    "create policy theirs on views.learners to reader using (user_id = current_setting('app.user', true))":
        "reads a setting, which a session can set",
    "alter view api.leaderboard set (security_barrier = off)": "api.leaderboard runs with its owner's rights and is no",
    "alter table views.user_daily force row level security": "forces row-level security on its owner",
    "alter table views.rooms disable row level security; grant select on views.rooms to reader":
        "has no row-level security",
    "grant select on api.customers to public": "PUBLIC may SELECT",
}  # fmt: skip


def test_leaks_are_caught_and_gone_with_the_next_build(ana, guarded):
    """Those that are known of row-level security, planted by somebody who may."""
    assert faults(guarded) == []
    for leak in LEAKS:
        guarded.admin.execute(f"set role transformer; {leak}; reset role")
    told = faults(guarded)
    assert [shows for shows in LEAKS.values() if not any(shows in sentence for sentence in told)] == []
    with ana.transaction(force_rollback=True):  # they are leaks
        ana.execute("select set_config('app.user', 'u03', true)")
        # not the policy alone, for the list is asked, too; a view beside it is
        assert ana.execute("select count(*) from api.learners").fetchone() == (1,)
        assert ana.execute("select count(*) from api.all_learners").fetchone() == (10,)
    guarded.build()
    assert faults(guarded) == []
    assert ana.execute("select count(*), min(user_id) from api.learners").fetchone() == (1, "u02")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ana.execute("select count(*) from api.all_learners")
    guarded.admin.execute("drop view api.all_learners")
    with guarded.as_login("boss") as connection:
        assert connection.execute("select count(*) from api.learners").fetchone() == (10,)


def faults(guarded) -> list[str]:
    with database.connect() as connection:
        return access.faults(connection)


def test_analysts_see_pseudonyms_and_who_is_behind_one_is_asked_in_the_audit(ana, guarded):
    guarded.grant([BOSS, DASHBOARD, {"login": "officer", "role": "reidentifier"}])
    with guarded.as_login("dashboard") as connection:
        names = {name for (name,) in connection.execute("select user_id from analysis.learners")}
        assert len(names) == 10 and not names & set(world.PEOPLE)
        assert names >= {name for (name,) in connection.execute("select user_id from analysis.churn_scores")}
        assert {name for (name,) in connection.execute("select distinct user_id from analysis.user_daily")} >= names
        for relation in ("analysis.preferences", "analysis.rooms", "analysis.learning_periods"):
            assert not any(f"u{n:02}" in row for row in rows(connection, relation) for n in range(1, 13))
        for relation in relations(guarded.admin):
            if relation in ("api.learners", "api.rooms", "api.customers", "api.personal_data_access"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    rows(connection, relation)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select ops.person_behind('pn_0')")
    pseudonym = min(names)
    person = guarded.admin.execute("select user_id from ops.pseudonyms where pseudonym = %s", [pseudonym]).fetchone()[0]
    with guarded.as_login("officer") as officer:
        with pytest.raises(psycopg.errors.RaiseException, match="ask first"):
            officer.execute("select ops.person_behind(%s)", [pseudonym])
        with officer.transaction(force_rollback=True):  # asked, answered and forgotten: no
            officer.execute("select ops.ask_who(%s, 'curious')", [pseudonym])
            with pytest.raises(psycopg.errors.RaiseException, match="ask first"), officer.transaction():
                officer.execute("select ops.person_behind(%s)", [pseudonym])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            officer.execute("select * from ops.pseudonyms")
        officer.execute("select ops.ask_who(%s, 'a complaint')", [pseudonym])
        assert officer.execute("select ops.person_behind(%s)", [pseudonym]).fetchone() == (person,)
    assert access.person_behind(pseudonym, "another complaint") == person
    asked = guarded.admin.execute(
        "select actor, detail ->> 'reason' from ops.audit where action = 'reidentify' and subject = %s", [pseudonym]
    ).fetchall()
    assert set(asked) >= {("officer", "a complaint"), (getpass.getuser(), "another complaint")}
    assert not {reason for _, reason in asked} & {"curious"}
    assert audit.verify(guarded.admin) >= 2


def test_the_list_ends_and_the_matrix_tells(ana, guarded):
    yesterday = date.today() - timedelta(days=1)
    guarded.grant([BOSS, {"login": "ana", "scope": {"self": ["u02"]}, "until": yesterday}])
    assert rows(ana, "api.learners") == []
    with pytest.raises(TidemarkError, match="'ana' reads nothing now"):
        access.admit("ana")
    guarded.grant([BOSS])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows(ana, "api.learners")
    guarded.grant([BOSS, {"login": "ana", "scope": {"self": ["u02"]}}])
    with database.connect() as connection:
        rights = {(right.role, right.relation): right for right in access.check(connection)}
    assert rights["ana", "api.learners"].rows == 1 and rights["boss", "api.learners"].rows == 10
    assert not rights["ana", "views.churn_scores"].reads and not rights["reader", "views.churn_scores"].reads
    assert rights["loader", "raw.events"].writes and not rights["ml", "raw.events"].writes
    assert not rights["loader", "ops.audit"].reads and rights["auditor", "ops.audit"].reads
    assert not any(right.writes for (role, _), right in rights.items() if role in ("reader", "analyst", "ana", "boss"))
    changes = guarded.admin.execute("select action, subject from ops.audit where subject = 'ana'").fetchall()
    assert {action for action, _ in changes} == {"grant", "revoke"}


def test_a_login_that_may_not_make_roles_says_so(password_server, guarded):
    guarded.admin.execute("drop role if exists plain; create role plain login password 'correct-horse'")
    guarded.admin.execute("drop database if exists plain")
    guarded.admin.execute("create database plain owner plain")
    target = guarded.url.replace("tidemark:", "plain:").replace("/tidemark?", "/plain?")
    with pytest.raises(TidemarkError) as raised:
        database.migrate(target)
    assert str(raised.value).count(". ") == 0 and "createrole" in str(raised.value)
    assert "correct-horse" not in str(raised.value)
