"""How often experiments ring without a cause when people look every day, what that costs, and a published result."""

from datetime import date
from pathlib import Path

import numpy as np

LOOKS, PEOPLE = 28, 200  # of each variant between two looks
RESAMPLES = 5_000
SEED = 1


def rows(data: Path, resamples: int = RESAMPLES) -> list[dict]:
    """False alarms over resamples of real revenue, power beside one look at the end, and Cookie Cats."""
    from ml import experiments

    revenue = customers(data)
    bounds = experiments.bounds(np.arange(1, LOOKS + 1) / LOOKS)
    name = f"Online Retail, revenue of {len(revenue):,} customers, {resamples:,} A/A tests, {LOOKS} looks"
    random = np.random.default_rng(SEED)
    alone = statistics(random, revenue, resamples)
    fixed = experiments.stats.norm.isf(experiments.ALPHA / 2)
    told = [
        row(name, "false alarms, %", 100 * _share(alone, bounds), "4.5 to 5.5", ""),
        row(name, "with naive peeking, %", 100 * _share(alone, fixed), "", "", "24.5"),
        row(name, "with one look at the end, %", 100 * _share(alone[:, -1:], fixed), "", ""),
    ]
    lift = 2.8 * np.sqrt(2 / (LOOKS * PEOPLE)) * revenue.std()  # what one look finds in four of five cases
    moved = statistics(random, revenue, resamples, lift)
    horizon = 100 * _share(moved[:, -1:], fixed)
    told.append(row(name, "power lost to looking, points", horizon - 100 * _share(moved, bounds), "≤ 2", ""))
    told[-1]["note"] = f"one look at the end finds {horizon:.1f} %"
    tested, split = cookie_cats(data)
    told += [
        row("Cookie Cats, 90,189 players", "p of day-7 retention", tested.pvalue, "0.00155", "", "0.00155"),
        row("Cookie Cats, 90,189 players", "p of the sample ratio", split, "0.009", "", "0.009"),
    ]
    return told


def row(name: str, measure: str, value: float, aim: str, note: str, published: str = "") -> dict:
    return {"set": name, "measure": measure, "value": float(value), "aim": aim, "published": published, "note": note}


def customers(data: Path) -> np.ndarray:
    """What each known customer spent, in pounds."""
    import pandas as pd

    files = sorted((data / "online-retail" / "by-day").glob("*.csv*"))
    frame = pd.concat(pd.read_csv(file, usecols=["Quantity", "UnitPrice", "CustomerID"]) for file in files)
    frame = frame.dropna(subset="CustomerID")
    return (frame["Quantity"] * frame["UnitPrice"]).groupby(frame["CustomerID"]).sum().to_numpy()


def statistics(random: np.random.Generator, values: np.ndarray, resamples: int, lift: float = 0.0) -> np.ndarray:
    """z of the difference of means at each look, a row a resample: what `ml.experiments.compare` computes."""
    found = np.empty((resamples, LOOKS))
    count = PEOPLE * np.arange(1, LOOKS + 1)
    for number in range(resamples):
        sums = []
        for more in (0.0, lift):
            drawn = random.choice(values, LOOKS * PEOPLE).reshape(LOOKS, PEOPLE) + more
            total, squares = drawn.sum(axis=1).cumsum(), (drawn**2).sum(axis=1).cumsum()
            sums.append((total / count, (squares - total**2 / count) / (count - 1)))
        (control, spread), (variant, spread_too) = sums
        found[number] = (variant - control) / np.sqrt((spread + spread_too) / count)
    return found


def _share(statistic: np.ndarray, bounds: np.ndarray | float) -> float:
    """Of the resamples, those that cross a bound at any look."""
    return float((np.abs(statistic) >= bounds).any(axis=1).mean())


def cookie_cats(data: Path):
    """The test of day-7 retention, and the p-value of the split."""
    import pandas as pd

    from ml import experiments

    players = pd.read_csv(data / "cookie-cats" / "cookie_cats.csv.gz")
    gates = {
        gate: daily(retained.to_numpy(float), date(2026, 1, 1))
        for gate, retained in players.groupby("version")["retention_7"]
    }
    tested = experiments.compare(
        "conversion_rate", *(experiments.aggregates(gates[gate]) for gate in ("gate_30", "gate_40"))
    )
    users = players["version"].value_counts().to_dict()
    return tested, experiments.sample_ratio(users, {"gate_30": 1, "gate_40": 1})


def daily(converted: np.ndarray, day: date, value: np.ndarray | None = None) -> dict:
    """The sums of one day and variant, of people whose window is over: what `ml.experiments.analyse` reads."""
    value = converted if value is None else value
    sums = {"day": day, "exposed": len(converted), "users": len(converted)}
    columns = {"converted": converted, "conversions": converted, "value": value, "value_before": 0 * value}
    sums |= {name: float(column.sum()) for name, column in columns.items()}
    sums |= {f"{name}_square": float((column**2).sum()) for name, column in columns.items()}
    return sums | {
        "conversions_value": float((converted * value).sum()),
        "value_value_before": 0.0,
    }
