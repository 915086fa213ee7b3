"""Forecasts of `ml.forecast` on real series: the M4, NN5 and M3 competitions and Prophet's own examples.

All figures are out of sample: the last horizons of each series, everything learned from what came before them.
"""

import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Set:
    """A set of series, judged at its last `windows` horizons. `read` takes the folder of the real data."""

    name: str
    read: Callable
    horizon: int
    freq: str
    windows: int
    aims: dict[str, str]
    published: dict[str, str]


def _m4(name: str, freq: str) -> Callable:
    def read(data: Path):
        import pandas as pd

        frame = pd.read_parquet(data / "m4" / f"{name}.parquet")
        begin = pd.Timestamp("2010-01-04")  # the files hold no dates
        steps = pd.date_range(begin, periods=int(frame["t"].max()), freq=freq)
        return frame.assign(ds=steps[frame["t"].to_numpy() - 1])

    return read


def _dated(path: str) -> Callable:
    def read(data: Path):
        import pandas as pd

        return pd.read_parquet(data / path)

    return read


def _examples(*names: str) -> Callable:
    def read(data: Path):
        import pandas as pd

        folder = data / "prophet-examples"
        return pd.concat([pd.read_csv(folder / f"example_{n}.csv.gz").assign(unique_id=n) for n in names])

    return read


# OWA compares with Naive2 on the same series: its sMAPE and MASE, computed from the competition's own forecasts.
NAIVE2 = {"M4 hourly": (18.224, 2.432)}

SETS = (
    Set(
        "M4 hourly",
        _m4("hourly", "h"),
        48,
        "h",
        1,
        {"smape": "≤ 10", "owa": "≤ 0.44"},
        {"smape": "winner 9.33, best 8.91", "mase": "winner 0.893, best 0.801", "owa": "winner 0.440, best 0.410"},
    ),
    Set(
        "M4 weekly", _m4("weekly", "W"), 13, "W", 1, {"smape": "≤ 6.5"}, {"smape": "winner 7.82, best 6.73, naive 9.54"}
    ),
    Set(
        "NN5 daily",
        _dated("nn5-daily/nn5_daily.parquet"),
        56,
        "D",
        1,
        {"smape": "≤ 19.5", "mase": "≤ 0.78"},
        {"smape": "best of the competition about 20", "mase": "median of 8 weeks 0.851"},
    ),
    Set(
        "M3 monthly",
        _dated("m3-monthly/m3_monthly.parquet"),
        18,
        "MS",
        1,
        {"smape": "≤ 13.6"},
        {"smape": "Theta 13.89, ForecastPro 13.90", "mase": "ForecastPro 0.848, Theta 0.858"},
    ),
    Set("Prophet's monthly examples", _examples("air_passengers", "retail_sales"), 12, "MS", 3, {}, {}),
    Set("Prophet's daily examples", _examples("wp_log_peyton_manning", "wp_log_R"), 90, "D", 2, {}, {}),
)


def rows(data: Path, series: int | None = None, on_set: Callable[[str], None] = lambda name: None) -> list[dict]:
    """The figures of every set; of about `series` of its series, evenly, if a number is given."""
    found = []
    for one in SETS:
        on_set(one.name)
        found += rows_of(one, some(one.read(data), series))
    return found


def some(frame, count: int | None):
    """About `count` of the series, evenly over the set."""
    names = list(dict.fromkeys(frame["unique_id"]))
    chosen = names if count is None else names[:: max(1, len(names) // count)]
    return frame[frame["unique_id"].isin(chosen)]


def rows_of(one: Set, frame) -> list[dict]:
    from ml import forecast

    count = frame["unique_id"].nunique()
    began = _core_seconds()
    scored = forecast.backtest(frame, one.horizon, one.freq, one.windows)
    seconds = (_core_seconds() - began) / count
    means = scored.groupby("model")[["mase", "smape", "coverage_80", "coverage_95"]].mean()
    own, prophet = means.loc[forecast.COMBINATION], means.loc["Prophet"]
    single = means.drop(index=forecast.COMBINATION)
    name = f"{one.name}, {count} series"

    def row(measure: str, value: float, aim: str = "", published: str = "", note: str = "") -> dict:
        return {"set": name, "measure": measure, "value": value, "aim": aim, "published": published, "note": note}

    found = []
    for measure, label in (("smape", "sMAPE"), ("mase", "MASE")):
        note = f"Prophet {prophet[measure]:.3g}, best member {single[measure].idxmin()} {single[measure].min():.3g}"
        aim, published = one.aims.get(measure, ""), one.published.get(measure, "")
        found.append(row(label, float(own[measure]), aim, published, note))
    if one.name in NAIVE2:
        smape, mase = NAIVE2[one.name]
        owa = float(own["smape"] / smape + own["mase"] / mase) / 2
        found.append(row("OWA", owa, one.aims["owa"], one.published["owa"], "Naive2 is that of the whole set"))
    found.append(row("MASE over Prophet's", float(own["mase"] / prophet["mase"]), "≤ 1.02"))
    found.append(row("covered by 80 %", 100 * float(own["coverage_80"]), "78 to 82"))
    found.append(row("covered by 95 %", 100 * float(own["coverage_95"]), "94 to 96"))
    found.append(row("core-seconds a series", seconds, "≤ 3", "", f"{one.windows} windows of scoring among them"))
    return found


def _core_seconds() -> float:
    """Of this process and of those that it waited for: Stan's."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
