"""How well the default anomaly rule finds what operators labelled, and how soon a breach is told.

    .venv/bin/python -m benchmarks.alerts labelled [--write]
    .venv/bin/python -m benchmarks.alerts planted [--seeds 2 3 4 5 6] [--write]
    .venv/bin/python -m benchmarks.alerts latency [--minutes 10] [--events-per-minute 10000]

`labelled` runs labelled production series end to end: scored by ml.anomaly, walked over by an anomaly rule without any
setting, opened and resolved as incidents. `planted` runs the shipped rules over simulated quarters of several seeds,
whose figures it counts itself. `latency` sends events into a Redis stream while `tidemark up` runs, and needs
`redis-server`. `--write` puts the table into docs/alerts.md. The data is read from TIDEMARK_TEST_DATA, or
../shared/data; the database is a scratch one of TIDEMARK_DATABASE_URL's server or the embedded.
"""

import argparse
import json
import os
import re
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, timedelta
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("TIDEMARK_TEST_DATA", ROOT.parent / "shared" / "data"))
PAGE = ROOT / "docs" / "alerts.md"
PROBATION = 0.15  # of a NAB file: what it may learn from and is not judged by

DAYS, EVENTS = 90, 200_000  # of a simulation
WITHIN = timedelta(hours=12)  # of the beginning of an incident, it has to be told
RATIOS = ("error_rate", "latency_p95_ms")  # no zeros where nothing happened

_TABLES = """
create table api.metrics (metric text, description text, unit text, adds_up text);
create table api.metric_hourly (metric text, segment text, hour timestamptz, value float8, is_final boolean);
create index on api.metric_hourly (metric, segment, hour);
create table api.anomalies (series_id text, ds timestamptz, value float8, is_anomaly boolean, expected float8,
                            lo float8, hi float8, primary key (series_id, ds));
"""

_EMPTY = """truncate api.anomalies, api.metric_hourly, ops.alert_marks, ops.outbox, ops.incidents, ops.incident_history,
                    ops.incident_messages"""


def nab() -> Iterator[tuple[str, str, object, list[tuple]]]:
    """Each file with its group, its frame of ds and y, and its labelled windows."""
    import pandas as pd

    [labels] = (DATA / "nab" / "labels").glob("combined_windows.json*")
    windows = json.loads(_text(labels))
    for name, spans in sorted(windows.items()):
        path = DATA / "nab" / "data" / f"{name}.gz"
        if path.exists():
            frame = pd.read_csv(path).rename(columns={"timestamp": "ds", "value": "y"})
            frame["ds"] = pd.to_datetime(frame["ds"])
            group = "NAB, no anomalies" if "noAnomaly" in name.replace("NoAnomaly", "noAnomaly") else "NAB"
            yield group, name, frame, [tuple(map(pd.Timestamp, span)) for span in spans]


def cloud_monitoring() -> Iterator[tuple[str, str, object, list[tuple]]]:
    """The same of the operators' labels: a window is a run of labelled points, a short gap joined."""
    import pandas as pd

    for path in sorted((DATA / "cloud-monitoring").rglob("*.csv.gz")):
        frame = pd.read_csv(path)
        ds = pd.to_datetime(frame["TimeStamp"].str.strip('"'), utc=True).dt.tz_localize(None)
        frame = pd.DataFrame({"ds": ds, "y": frame["Value"], "label": frame["Label"]}).sort_values("ds")
        frame = frame.drop_duplicates("ds", ignore_index=True)
        marked = frame.loc[frame["label"] == 1, "ds"]
        run = (marked.diff() > pd.Timedelta(hours=1)).cumsum()
        spans = [(times.min(), times.max()) for _, times in marked.groupby(run)]
        yield f"cloud-monitoring, {path.parent.name}", path.name, frame[["ds", "y"]], spans


def _text(path: Path) -> str:
    import gzip

    return gzip.open(path, "rt").read() if path.suffix == ".gz" else path.read_text()


def labelled() -> dict[str, dict]:
    """Of each group: series, windows, incidents, those of them that touch a window, and windows that are touched."""
    from orchestration.settings import Alerts
    from orchestration.warehouse import database

    rule = {"kind": "anomaly", "metric": "value", "segment": "series=*", "recipients": ["nobody@example.com"]}
    config = Alerts.model_validate({"rules": {"default": rule}})
    found: dict[str, dict] = {}
    with scratch(), database.connect(rows=True) as connection:
        connection.execute(_TABLES)
        connection.execute("insert into api.metrics values ('value', 'labelled', 'count', 'ratio')")
        for group, name, frame, spans in [*nab(), *cloud_monitoring()]:
            incidents = _incidents(connection, config, name, frame)
            judged_from = frame["ds"].iloc[int(len(frame) * PROBATION)]
            spans = [span for span in spans if span[1] >= judged_from]
            incidents = [one for one in incidents if one[1] >= judged_from]
            row = found.setdefault(group, dict.fromkeys(("series", "windows", "incidents", "right", "touched"), 0))
            touching = [[a <= end and b >= begin for a, b in incidents] for begin, end in spans]
            row["series"] += 1
            row["windows"] += len(spans)
            row["incidents"] += len(incidents)
            row["right"] += sum(any(column) for column in zip(*touching, strict=True)) if touching else 0
            row["touched"] += sum(map(any, touching))
    return found


def _incidents(connection, config, name: str, frame) -> list[tuple]:
    """(begin, end) of the incidents that the rule opens over one series."""
    from ml import anomaly
    from orchestration.alerts.evaluation import evaluate
    from orchestration.alerts.lineage import Lineage

    import pandas as pd  # isort: skip

    connection.execute(_EMPTY)
    series = frame.assign(unique_id=name)[["unique_id", "ds", "y"]].drop_duplicates("ds")
    judged = anomaly.detect(series).merge(series, on=["unique_id", "ds"]).dropna(subset=["expected", "y"])
    with connection.cursor().copy("copy api.anomalies from stdin") as copy:
        for row in judged.itertuples():
            at = row.ds.to_pydatetime().replace(tzinfo=UTC)
            copy.write_row(("value|series=1", at, row.y, bool(row.is_anomaly), row.expected, row.lo, row.hi))
    newest = frame["ds"].iloc[-1].to_pydatetime().replace(tzinfo=UTC)
    connection.execute("insert into api.metric_hourly values ('value', 'all', %s, 1, true)", [newest])
    evaluate(connection, config, newest, Lineage())
    rows = connection.execute("select opened_hour, resolved_hour from ops.incidents order by 1").fetchall()
    return [
        tuple(pd.Timestamp(row[key] or newest).tz_localize(None) for key in ("opened_hour", "resolved_hour"))
        for row in rows
    ]


def planted(seeds: list[int]) -> list[dict]:
    """Of each seed: what was planted, what of it was told within `WITHIN`, and what was told wrongly."""
    from orchestration import settings
    from orchestration.alerts.evaluation import evaluate
    from orchestration.alerts.lineage import Lineage
    from orchestration.simulate.simulator import simulate
    from orchestration.warehouse import database

    told = []
    with scratch(), database.connect(rows=True) as connection, tempfile.TemporaryDirectory() as folder:
        connection.execute(_TABLES)
        database.sync_tenant(connection)
        connection.execute(
            """insert into api.metrics
               select metric, metric, case when metric = 'revenue' then 'money' when metric = 'error_rate' then 'rate'
                   when metric = 'latency_p95_ms' then 'ms' else 'count' end,
                   case when metric = any(%s) then 'ratio' else 'sum' end
               from unnest(%s::text[]) as metric""",
            [list(RATIOS), ["orders", "revenue", "content_views", "events", "sessions", "requests", "error_rate",
                            "latency_p95_ms", "active_users"]],
        )  # fmt: skip
        for seed in seeds:
            files = Path(folder) / str(seed)
            start = date(2026, 1, 5) + timedelta(days=37 * seed)  # on another weekday each
            truth = simulate(files, start=start, days=DAYS, events=EVENTS, seed=seed)
            _publish(connection, _hours(files, truth))
            evaluate(connection, settings.alerts(), truth.end, Lineage())
            rows = connection.execute("select * from ops.incidents where metric <> 'absence'").fetchall()
            told.append({"seed": seed} | _against(truth, rows))
    return told


def _hours(files: Path, truth):
    """metric, segment, hour and value of each hour, with the zeros of those in which nothing happened."""
    import duckdb
    import pandas as pd

    connection = duckdb.connect()
    for name, value in (("files", f"{files}/*.jsonl"), ("first_at", truth.start), ("end_at", truth.end)):
        connection.execute(f"set variable {name} = $value", {"value": value})
    connection.execute((Path(__file__).parent / "planted.sql").read_text())
    hours = connection.execute("from hours").df()
    parts = []
    for (metric, segment), one in hours.groupby(["metric", "segment"]):
        values = one.set_index("hour")["value"]
        if metric not in RATIOS:
            values = values.reindex(pd.date_range(values.index[0], hours["hour"].max(), freq="h"), fill_value=0)
        parts.append(pd.DataFrame({"metric": metric, "segment": segment, "hour": values.index, "value": values.values}))
    return pd.concat(parts, ignore_index=True)


def _publish(connection, hours) -> None:
    """Put these hours, and what detection says of them, where rules look."""
    from ml import anomaly

    connection.execute(_EMPTY)
    series = hours.assign(
        unique_id=hours["metric"].where(hours["segment"] == "all", hours["metric"] + "|" + hours["segment"]),
        ds=hours["hour"].dt.tz_convert("UTC").dt.tz_localize(None),
        y=hours["value"],
    )[["unique_id", "ds", "y"]]
    judged = anomaly.detect(series, "h").merge(series, on=["unique_id", "ds"]).dropna(subset=["expected"])
    with connection.cursor().copy("copy api.metric_hourly from stdin") as copy:
        for row in hours.itertuples():
            copy.write_row((row.metric, row.segment, row.hour.to_pydatetime(), row.value, True))
    with connection.cursor().copy("copy api.anomalies from stdin") as copy:
        for row in judged.itertuples():
            at = row.ds.to_pydatetime().replace(tzinfo=UTC)
            copy.write_row((row.unique_id, at, row.y, bool(row.is_anomaly), row.expected, row.lo, row.hi))


def _against(truth, rows: list[dict]) -> dict:
    """How what was told compares with what was planted."""

    def is_about(row: dict, incident) -> bool:
        return (
            row["metric"] in (incident.metric, *incident.moves_too)
            and incident.start <= row["opened_hour"] + timedelta(hours=1)
            and row["opened_hour"] <= min(incident.start + WITHIN, incident.end or truth.end)
        )

    first = [
        min((row["opened_hour"] - incident.start for row in rows if is_about(row, incident)), default=None)
        for incident in truth.incidents
    ]
    wrong = [row for row in rows if not any(is_about(row, incident) for incident in truth.incidents)]
    return {
        "planted": len(first),
        "told": sum(after is not None for after in first),
        "longest_hours": max((after / timedelta(hours=1) for after in first if after is not None), default=0) + 1,
        "false": len(wrong),
        "missed": [one.kind for one, after in zip(truth.incidents, first, strict=True) if after is None],
        "wrong": [f"{row['rule']} at {row['opened_hour']:%Y-%m-%d %H:%M}" for row in wrong],
    }


def planted_table(told: list[dict]) -> str:
    """As Markdown."""
    lines = [
        "| seed | planted | told | longest until known, h | false in 13 weeks |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['seed']} | {row['planted']} | {row['told']} | {row['longest_hours']:.0f} | {row['false']} |"
        for row in told
    ]
    return "\n".join(lines)


def table(found: dict[str, dict]) -> str:
    """As Markdown, with a last row over all."""
    total = {key: sum(row[key] for row in found.values()) for key in next(iter(found.values()))}
    lines = [
        "| data | series | labelled windows | incidents | precision | recall |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, row in [*found.items(), ("all", total)]:
        precision = f"{row['right'] / row['incidents']:.2f}" if row["incidents"] else "–"
        recall = f"{row['touched'] / row['windows']:.2f}" if row["windows"] else "–"
        lines.append(f"| {name} | {row['series']} | {row['windows']} | {row['incidents']} | {precision} | {recall} |")
    return "\n".join(lines)


@contextmanager
def scratch() -> Iterator[None]:
    """A warehouse of its own for the length of the block."""
    from orchestration.warehouse import database

    name = f"benchmark_{os.getpid()}"
    base = database.url()
    target = database._database(base, name)
    database.create(target)
    os.environ["TIDEMARK_DATABASE_URL"] = target
    database.forget()
    try:
        yield
    finally:
        with psycopg.connect(base, autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)")


def latency(minutes: float, per_minute: int, port: int) -> dict[str, float]:
    """Seconds from breaching events to what receivers get, while `tidemark up` runs as always: one value a minute.

    Every other minute, half of the requests fail. From the receipt of the first such event of a minute, and from its
    end, to the arrival of the mail at an SMTP server and of the post at an HTTP server; 50th and 99th percentile.
    """
    from benchmarks import fast_lane

    with tempfile.TemporaryDirectory() as scratch, receivers() as (smtp_url, hook_url, arrived):
        home = Path(scratch)
        os.environ |= {"TIDEMARK_SMTP_URL": smtp_url, "HOOK_SECRET": "whsec_bmV3IHNlY3JldA=="}
        rule = {
            "kind": "threshold", "metric": "error_rate", "grain": "minute", "above": 0.3, "clear": 1,
            "recipients": ["ops@example.com"], "channels": ["hook"], "severity": "critical",
        }  # fmt: skip
        hook = {"kind": "webhook", "url": hook_url, "secrets": ["${HOOK_SECRET}"], "allow_private": True}
        config = {
            "channels": {"hook": hook},
            "reopen_within": "PT0S",
            "messages_per_hour": 1000,
            "rules": {"errors": rule},
        }
        with fast_lane.running_redis(home) as client, fast_lane.running_tidemark(home, client, port, config):
            events = fast_lane.samples(home, per_minute)
            fast_lane.send(client, events, minutes=1 / per_minute, per_minute=per_minute)
            fast_lane.wait_for(home, "select 1 from ops.tidemarks where table_name = 'views.windows' and load_id > 0")
            began = {}
            for number in range(int(minutes)):
                time.sleep(60 - time.time() % 60)  # a breach begins with its minute
                if is_bad := number % 2 == 1:
                    began[time.time() // 60 * 60] = None
                fast_lane.send(client, failing(events) if is_bad else events, 0.98, per_minute)
            time.sleep(150)
            with psycopg.connect(fast_lane.database_url(home)) as connection:
                told = connection.execute(
                    """select extract(epoch from opened_hour)::float8, told.message_id
                       from ops.incidents join ops.incident_messages as told using (incident_id)
                       where rule = 'errors' and event = 'opened'"""
                ).fetchall()
    delays = sorted(arrived[message_id] - minute for minute, message_id in told if message_id in arrived)
    return {
        "breaches": len(began),
        "messages": len(delays),
        "from_the_first_event_p50_seconds": percentile(delays, 0.5),
        "from_the_first_event_p99_seconds": percentile(delays, 0.99),
        "from_the_end_of_its_minute_p99_seconds": percentile(delays, 0.99) - 60,
    }


def failing(events: list[dict]) -> list[dict]:
    """The same events, with every other request answered by an error."""
    import msgspec

    changed = []
    for number, event in enumerate(events):
        if number % 2 and msgspec.json.decode(event["event_type"]) == "request_served":
            properties = msgspec.json.decode(event["properties"]) | {"status": 500}
            event = event | {"properties": msgspec.Raw(msgspec.json.encode(properties))}
        changed.append(event)
    return changed


def percentile(values: list[float], share: float) -> float:
    """The value that so many are not above."""
    return round(values[min(int(share * len(values)), len(values) - 1)], 1) if values else float("nan")


@contextmanager
def receivers() -> Iterator[tuple[str, str, dict[str, float]]]:
    """A mail server and an HTTP server: their addresses, and when each message first arrived, by its id."""
    from email import message_from_bytes
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    from aiosmtpd.controller import Controller

    arrived: dict[str, float] = {}

    class Mail:
        async def handle_DATA(self, server, session, envelope):
            identity = message_from_bytes(envelope.content)["Message-ID"].strip("<>").partition("@")[0]
            arrived.setdefault(identity, time.time())
            return "250 OK"

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            arrived.setdefault(self.headers["webhook-id"], time.time())
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    controller = Controller(Mail(), hostname="127.0.0.1", port=port)
    controller.start()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"smtp://127.0.0.1:{port}", f"http://127.0.0.1:{server.server_port}/", arrived
    finally:
        controller.stop()
        server.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("section", choices=["labelled", "planted", "latency"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--events-per-minute", type=int, default=10_000)
    parser.add_argument("--port", type=int, default=3997, help="of the UI that `up` serves")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    match arguments.section:
        case "latency":
            print(json.dumps(latency(arguments.minutes, arguments.events_per_minute, arguments.port)))
            return
        case "planted":
            told = planted(arguments.seeds)
            print(json.dumps(told, indent=1))
            text = planted_table(told)
        case "labelled":
            text = table(labelled())
    print(text)
    if arguments.write:
        write(arguments.section, text)


def write(section: str, text: str) -> None:
    """Put a table into its place in docs/alerts.md."""
    begin, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    page, count = re.subn(f"{begin}.*?{end}", f"{begin}\n{text}\n{end}", PAGE.read_text(), flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"{PAGE} has no place for the table: put {begin} and {end} into it.")
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
