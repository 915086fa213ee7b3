"""Measures every kind of model on real data, prints the tables, and keeps docs/learning.md true.

    .venv/bin/python -m benchmarks.learning [part …] [--series 40] [--json]

Names no part: all that are there. `--series` takes about so many series of each set of forecasts, evenly, which the
table says. The data is read from TIDEMARK_TEST_DATA, or ../shared/data.
"""

import argparse
import json
import os
import re
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("TIDEMARK_TEST_DATA", ROOT.parent / "shared" / "data"))
PAGE = ROOT / "docs" / "learning.md"
ORDER = ("forecasts", "anomalies", "churn", "recommendations", "experiments", "prices", "honesty", "training")
PARTS = [name for name in ORDER if (Path(__file__).parent / f"{name}.py").exists()]


def table(rows: list[dict]) -> str:
    """A Markdown table, each set named once."""
    lines = ["| data | measure | ours | aim | published | note |", "| --- | --- | ---: | --- | --- | --- |"]
    before = ""
    for row in rows:
        named, before = (row["set"] if row["set"] != before else ""), row["set"]
        cells = (named, row["measure"], _number(row["value"]), row["aim"], row["published"], row["note"])
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def with_table(page: str, part: str, rows: list[dict]) -> str:
    """The page with a part's table between its marks; marks that it lacks come at its end, under a heading."""
    begin, end = f"<!-- {part} -->", f"<!-- /{part} -->"
    if begin not in page:
        page = f"{page.rstrip()}\n\n## {part.capitalize()}\n\n{begin}\n{end}\n"
    return re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{table(rows)}\n{end}", page, flags=re.DOTALL)


def measure(part: str, series: int | None) -> list[dict]:
    print(f"{part} …", file=sys.stderr, flush=True)
    module = import_module(f"benchmarks.learning.{part}")
    if part == "forecasts":
        return module.rows(DATA, series, lambda name: print(f"  {name} …", file=sys.stderr, flush=True))
    return module.rows(DATA)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; by default all")
    parser.add_argument("--series", type=int, help="about so many of each set of forecasts")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {min(unknown)}: choose of {', '.join(PARTS)}")
    results = {}
    for part in arguments.parts or PARTS:
        results[part] = measure(part, arguments.series)
        PAGE.write_text(with_table(PAGE.read_text(), part, results[part]))  # what is measured is kept, whatever follows
        if not arguments.json:
            print(f"\n{table(results[part])}\n", flush=True)
    if arguments.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
