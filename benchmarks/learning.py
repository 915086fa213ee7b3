"""How well the models learn on well-known real data, beside what was published for the same data.

    .venv/bin/python -m benchmarks.learning [forecast …] [--series 40] [--json] [--write]

Names no section: all of them. `--series` takes about so many series of each set, evenly; `--write` puts the tables into
docs/learning.md. The data is read from TIDEMARK_TEST_DATA, or ../shared/data.
"""

import argparse
import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("TIDEMARK_TEST_DATA", ROOT.parent / "shared" / "data"))
PAGE = ROOT / "docs" / "learning.md"


@dataclass(frozen=True)
class Row:
    """One figure: ours, what it should be, and what others reached on the same data."""

    data: str
    measure: str
    ours: float
    aim: str
    beside: str


# Forecasts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ForecastSet:
    """A set of series, judged at its last `windows` horizons."""

    name: str
    read: Callable
    horizon: int
    freq: str
    windows: int
    aims: dict[str, str]
    published: dict[str, str]


def _m4(name: str, freq: str) -> Callable:
    def read():
        import pandas as pd

        frame = pd.read_parquet(DATA / "m4" / f"{name}.parquet")
        begin = pd.Timestamp("2010-01-04")  # the files hold no dates
        steps = pd.date_range(begin, periods=int(frame["t"].max()), freq=freq)
        return frame.assign(ds=steps[frame["t"].to_numpy() - 1])

    return read


def _dated(path: str) -> Callable:
    def read():
        import pandas as pd

        return pd.read_parquet(DATA / path)

    return read


def _examples(*names: str) -> Callable:
    def read():
        import pandas as pd

        folder = DATA / "prophet-examples"
        return pd.concat([pd.read_csv(folder / f"example_{n}.csv.gz").assign(unique_id=n) for n in names])

    return read


# OWA compares with Naive2 on the same series: its sMAPE and MASE, computed from the competition's own forecasts.
NAIVE2 = {"M4 hourly": (18.224, 2.432)}

FORECAST_SETS = (
    ForecastSet(
        "M4 hourly",
        _m4("hourly", "h"),
        48,
        "h",
        1,
        {"smape": "≤ 10", "owa": "≤ 0.44"},
        {"smape": "winner 9.33, best 8.91", "mase": "winner 0.893, best 0.801", "owa": "winner 0.440, best 0.410"},
    ),
    ForecastSet(
        "M4 weekly", _m4("weekly", "W"), 13, "W", 1, {"smape": "≤ 6.5"}, {"smape": "winner 7.82, best 6.73, naive 9.54"}
    ),
    ForecastSet(
        "NN5 daily",
        _dated("nn5-daily/nn5_daily.parquet"),
        56,
        "D",
        1,
        {"smape": "≤ 19.5", "mase": "≤ 0.78"},
        {"smape": "best of the competition about 20", "mase": "median of 8 weeks 0.851"},
    ),
    ForecastSet(
        "M3 monthly",
        _dated("m3-monthly/m3_monthly.parquet"),
        18,
        "MS",
        1,
        {"smape": "≤ 13.6"},
        {"smape": "Theta 13.89, ForecastPro 13.90", "mase": "ForecastPro 0.848, Theta 0.858"},
    ),
    ForecastSet("Prophet's monthly examples", _examples("air_passengers", "retail_sales"), 12, "MS", 3, {}, {}),
    ForecastSet("Prophet's daily examples", _examples("wp_log_peyton_manning", "wp_log_R"), 90, "D", 2, {}, {}),
)


def forecast_rows(series: int | None) -> list[Row]:
    rows = []
    for data in FORECAST_SETS:
        print(f"{data.name} …", file=sys.stderr, flush=True)
        rows += _forecast_rows(data, _some(data.read(), series))
    return rows


def _some(frame, count: int | None):
    """About `count` of the series, evenly over the set."""
    names = list(dict.fromkeys(frame["unique_id"]))
    chosen = names if count is None else names[:: max(1, len(names) // count)]
    return frame[frame["unique_id"].isin(chosen)]


def _forecast_rows(data: ForecastSet, frame) -> list[Row]:
    from ml import forecast

    count = frame["unique_id"].nunique()
    began = _core_seconds(), time.perf_counter()
    scored = forecast.backtest(frame, data.horizon, data.freq, data.windows)
    seconds = (_core_seconds() - began[0]) / count
    means = scored.groupby("model")[["mase", "smape", "coverage_80", "coverage_95"]].mean()
    own, prophet = means.loc[forecast.COMBINATION], means.loc["Prophet"]
    single = means.drop(index=forecast.COMBINATION)
    name = f"{data.name}, {count} series"
    rows = []
    for measure, label in (("smape", "sMAPE"), ("mase", "MASE")):
        others = f"Prophet {prophet[measure]:.3g}, best member {single[measure].idxmin()} {single[measure].min():.3g}"
        told = "; ".join(filter(None, [data.published.get(measure, ""), others]))
        rows.append(Row(name, label, float(own[measure]), data.aims.get(measure, ""), told))
    if data.name in NAIVE2:
        smape, mase = NAIVE2[data.name]
        owa = float(own["smape"] / smape + own["mase"] / mase) / 2
        rows.append(Row(name, "OWA", owa, data.aims["owa"], data.published["owa"]))
    ratio = float(own["mase"] / prophet["mase"])
    rows.append(Row(name, "MASE over Prophet's", ratio, "≤ 1.02", ""))
    rows.append(Row(name, "covered by 80 %", 100 * float(own["coverage_80"]), "78 to 82", ""))
    rows.append(Row(name, "covered by 95 %", 100 * float(own["coverage_95"]), "94 to 96", ""))
    rows.append(Row(name, "core-seconds a series", seconds, "≤ 3", ""))
    return rows


def _core_seconds() -> float:
    """Of this process and of those that it waited for: Stan's."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


# All together --------------------------------------------------------------------------------------------------------

SECTIONS: dict[str, Callable[[int | None], list[Row]]] = {"forecast": forecast_rows}


def table(rows: list[Row]) -> str:
    """A Markdown table, each set named once."""
    lines = ["| data | measure | ours | aim | beside |", "| --- | --- | ---: | --- | --- |"]
    before = ""
    for row in rows:
        data, before = (row.data if row.data != before else ""), row.data
        lines.append(f"| {data} | {row.measure} | {row.ours:.4g} | {row.aim} | {row.beside} |")
    return "\n".join(lines)


def write(section: str, rows: list[Row]) -> None:
    """Put a section's table between its marks in docs/learning.md."""
    marks = f"<!-- {section} -->", f"<!-- /{section} -->"
    page, count = re.subn(
        f"{marks[0]}.*?{marks[1]}", f"{marks[0]}\n{table(rows)}\n{marks[1]}", PAGE.read_text(), flags=re.DOTALL
    )
    if count != 1:
        raise SystemExit(f"{PAGE} has no place for {section}: put {marks[0]} and {marks[1]} into it.")
    PAGE.write_text(page)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}; by default all")
    parser.add_argument("--series", type=int)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - set(SECTIONS):
        parser.error(f"there is no section {min(unknown)}: choose of {', '.join(SECTIONS)}")
    results = {name: SECTIONS[name](arguments.series) for name in arguments.sections or SECTIONS}
    if arguments.write:
        for name, rows in results.items():
            write(name, rows)
    if arguments.json:
        print(json.dumps({name: [asdict(row) for row in rows] for name, rows in results.items()}))
    else:
        print("\n\n".join(table(rows) for rows in results.values()))


if __name__ == "__main__":
    main()
