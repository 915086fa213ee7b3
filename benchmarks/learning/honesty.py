"""How often chance alone promotes a model or calls a drift, and how often what is really there is seen."""

from pathlib import Path

import numpy as np

TRIALS = 400


def rows(data: Path, trials: int = TRIALS) -> list[dict]:
    """Simulated: `data` is not needed, as the truth must be known."""
    return [*_promotions(trials), *_drifts(trials)]


def _row(name: str, measure: str, value: float, aim: str) -> dict:
    return {"set": name, "measure": measure, "value": value, "aim": aim, "published": "", "note": "simulated"}


def _promotions(trials: int) -> list[dict]:
    """Errors of two versions that share their difficulties and, within a week, their luck."""
    found = []
    for weeks, name in ((12, "one series, 12 weeks"), (60, "five series, 60 weeks")):
        shares = {change: _promoted(weeks, change, trials) for change in (0.0, -0.2)}
        found.append(_row(f"promotion, {name}", "A/A promoted, %", 100 * shares[0.0], "≤ 5"))
        found.append(_row(f"promotion, {name}", "20 % better promoted, %", 100 * shares[-0.2], ""))
    return found


def _promoted(weeks: int, change: float, trials: int) -> float:
    from ml import promotion

    random, blocks = np.random.default_rng(1), np.repeat(np.arange(weeks), 7)
    promoted = 0
    for trial in range(trials):
        hard = np.repeat(random.lognormal(0, 0.5, weeks), 7)
        own, other = (
            hard * np.abs(np.repeat(random.normal(0, 0.3, weeks), 7) + random.normal(0, 1, 7 * weeks)) for _ in range(2)
        )
        promoted += promotion.compare_paired((1 + change) * own, other, blocks, trial).is_better
    return promoted / trials


def _drifts(trials: int) -> list[dict]:
    from ml import drift

    random, n = np.random.default_rng(2), 2000
    kinds = {"normal": random.standard_normal, "counts of mean 3": lambda size: random.poisson(3, size).astype(float)}
    found = []
    for name, draw in kinds.items():
        spread = draw(100_000).std()
        learned = [drift.histogram(draw(n)) for _ in range(trials)]
        alarms = sum(drift.drift(one, draw(n)).is_drift for one in learned)
        if name == "normal":
            hits = sum(drift.drift(one, draw(n) + 0.3 * spread).is_drift for one in learned)
        else:  # a count moves by its mean: 0.3 of its standard deviation
            hits = sum(drift.drift(one, random.poisson(3 + 0.3 * spread, n).astype(float)).is_drift for one in learned)
        found.append(_row(f"drift, {name}, n = 2,000", "0.3 SD found, %", 100 * hits / trials, "≥ 95"))
        found.append(_row(f"drift, {name}, n = 2,000", "false alarms, %", 100 * alarms / trials, "≤ 1"))
    return found
