"""What an export costs, beside COPY … TO of the same rows. One run, one embedded database of its own.

    .venv/bin/python -m benchmarks.export --rows 10000000 [--format parquet] [--json] [--home FOLDER]

The rows are a long series like api.metric_hourly's. Each export runs in a process of its own, by the command that
people use, so that its peak of memory is its own. COPY writes the same rows as CSV into a file of the server. Both are
repeated in turn and the medians are told; what was exported is read back by DuckDB and compared in count and sums.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from statistics import median

import psycopg

from orchestration.settings import ROOT, settings
from orchestration.warehouse import database, server

REPEATS = 3
READERS = {"parquet": "read_parquet", "csv": "read_csv", "jsonl": "read_json"}
_FILL = """
create table marts.export_probe (
    metric text, segment text, hour timestamptz, value numeric, is_final boolean, load_id bigint
);
insert into marts.export_probe
select
    (array['revenue', 'orders', 'events', 'sessions'])[1 + n % 4],
    case when n % 5 = 0 then 'all' else 'category=category ' || n % 90 end,
    timestamptz '2020-01-01 00:00+00' + n % 50000 * interval '1 hour',
    round((n::bigint * 7919 % 1000003) / 100.0, 2), n % 3 > 0, n % 200
from generate_series(1, {rows}) as n;
"""


def measure(rows: int, form: str) -> dict[str, object]:
    """Seconds of an export and of COPY, and the export's peak of memory and size of file, in MiB."""
    with psycopg.connect(database.url(), autocommit=True) as connection:
        connection.execute(_FILL.format(rows=rows))
        connection.execute("vacuum analyze marts.export_probe")
        copies, exports = [], []
        for _ in range(REPEATS):
            copies.append(_copy(connection))
            exports.append(_export(form))
        _compare(connection, exports[-1]["files"][0], form)
    copied, exported = median(copies), median(one["seconds"] for one in exports)
    return {
        "rows": rows,
        "format": form,
        "copy_seconds": round(copied, 2),
        "export_seconds": round(exported, 2),
        "ratio": round(exported / copied, 2),
        "rows_per_second": round(rows / exported),
        "peak_mebibytes": round(max(one["peak"] for one in exports)),
        "file_mebibytes": round(exports[-1]["manifest"]["bytes"] / 2**20, 1),
    }


def _copy(connection: psycopg.Connection) -> float:
    file = f"{connection.execute('show data_directory').fetchone()[0]}/copied.csv"
    begin = time.perf_counter()
    connection.execute(f"copy marts.export_probe to '{file}' (format csv)")
    seconds = time.perf_counter() - begin
    connection.execute(f"copy (select 1) to '{file}'")  # it is not needed any more
    return seconds


def _export(form: str) -> dict:
    """What the command says, the seconds that it took from start to end, and its peak of memory in MiB."""
    command = [sys.executable, "-m", "orchestration.cli", "export", "export_probe", "--format", form, "--json"]
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=ROOT, stdout=said)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        if status:
            sys.exit("The export failed.")
        said.seek(0)
        return json.load(said) | {"seconds": seconds, "peak": usage.ru_maxrss / 1024}


def _compare(connection: psycopg.Connection, file: str, form: str) -> None:
    import duckdb

    totals = "select count(*), sum(value), sum(load_id), min(hour), max(hour), count(*) filter (where is_final) from "
    stored = connection.execute(totals + "marts.export_probe").fetchone()
    duckdb.execute("set timezone = 'UTC'")
    read = duckdb.execute(f"{totals}{READERS[form]}('{file}')").fetchone()
    if [str(round(Decimal(str(one)), 2)) if isinstance(one, float) else str(one) for one in read[:3]] != [
        str(one) for one in stored[:3]
    ] or read[5] != stored[5]:
        sys.exit(f"What is read back differs: {read} instead of {stored}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--format", default="parquet", choices=list(READERS))
    parser.add_argument("--home", type=Path, help="where the database is made; a temporary folder, unless given")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidemark-export-") as folder:
        os.environ["TIDEMARK_HOME"] = str(arguments.home or folder)
        os.environ.pop("TIDEMARK_DATABASE_URL", None)
        result = measure(arguments.rows, arguments.format)
        server.stop(settings().home.resolve() / "postgres")
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name.replace('_', ' '):<30}{value if isinstance(value, str) else f'{value:,}':>15}")


if __name__ == "__main__":
    main()
