"""How well the default anomaly rule finds what operators labelled, and how soon a breach is told.

    .venv/bin/python -m benchmarks.alerts [labelled | latency] [--write]

`labelled` runs labelled production series end to end: scored by ml.anomaly, walked over by an anomaly rule without any
setting, opened and resolved as incidents. `latency` measures an evaluation and a delivery of their own, from the moment
at which a breach can be seen. `--write` puts the table of `labelled` into docs/alerts.md. The data is read from
TIDEMARK_TEST_DATA, or ../shared/data; the database is a scratch one of TIDEMARK_DATABASE_URL's server or the embedded.
"""

import argparse
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("TIDEMARK_TEST_DATA", ROOT.parent / "shared" / "data"))
PAGE = ROOT / "docs" / "alerts.md"
PROBATION = 0.15  # of a NAB file: what it may learn from and is not judged by

_TABLES = """
create table api.metrics as select 'value' as metric, 'labelled' as description, 'count' as unit, 'ratio' as adds_up;
create table api.metric_hourly (metric text, segment text, hour timestamptz, value float8, is_final boolean);
create table api.anomalies (series_id text, ds timestamptz, value float8, is_anomaly boolean, expected float8,
                            lo float8, hi float8, primary key (series_id, ds));
"""


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

    connection.execute(
        """truncate api.anomalies, api.metric_hourly, ops.alert_marks, ops.outbox, ops.incidents, ops.incident_history,
                    ops.incident_messages"""
    )
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
        import psycopg

        with psycopg.connect(base, autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)")


def latency(rounds: int = 20) -> dict[str, float]:
    """Seconds from the end of the breaching minute's visibility to a real SMTP server, at the median and the worst."""
    import statistics
    import time

    from aiosmtpd.controller import Controller

    from orchestration.alerts.evaluation import evaluate
    from orchestration.alerts.lineage import Lineage
    from orchestration.outbox.delivery import deliver
    from orchestration.settings import Alerts
    from orchestration.warehouse import database

    class Server:
        def __init__(self):
            self.arrived: list[float] = []

        async def handle_DATA(self, server, session, envelope):
            self.arrived.append(time.perf_counter())
            return "250 OK"

    rule = {
        "kind": "threshold",
        "metric": "value",
        "segment": "series=*",
        "above": 0.5,
        "recipients": ["a@example.com"],
    }
    config = Alerts.model_validate({"messages_per_hour": 1000, "rules": {"default": rule}})
    server = Server()
    controller = Controller(server, hostname="127.0.0.1", port=0)
    controller.start()
    os.environ["TIDEMARK_SMTP_URL"] = f"smtp://127.0.0.1:{controller.server.sockets[0].getsockname()[1]}"
    took = []
    hour = datetime(2026, 3, 2, tzinfo=UTC)
    with scratch(), database.connect(rows=True) as connection:
        connection.execute(_TABLES)
        for number in range(rounds):
            connection.execute(
                "insert into api.metric_hourly values ('value', %s, %s, 1, true)",
                [f"series={number}", hour + number * timedelta(hours=1)],
            )
            connection.commit()
            began = time.perf_counter()
            evaluate(connection, config, datetime.now(UTC), Lineage())
            connection.commit()
            deliver()
            took.append(server.arrived[-1] - began)
    controller.stop()
    return {"median_seconds": statistics.median(took), "longest_seconds": max(took)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("section", choices=["labelled", "latency"], nargs="?", default="labelled")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.section == "latency":
        print(json.dumps(latency()))
        return
    text = table(labelled())
    print(text)
    if arguments.write:
        page, count = re.subn(
            "<!-- labelled -->.*?<!-- /labelled -->",
            f"<!-- labelled -->\n{text}\n<!-- /labelled -->",
            PAGE.read_text(),
            flags=re.DOTALL,
        )
        if count != 1:
            raise SystemExit(
                f"{PAGE} has no place for the table: put <!-- labelled --> and <!-- /labelled --> into it."
            )
        PAGE.write_text(page)


if __name__ == "__main__":
    main()
