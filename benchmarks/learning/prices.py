"""Whether the elasticities that the simulator planted lie where the model says. Reads what the simulator wrote."""

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

SEEDS = range(11, 25)
EVENTS, DAYS = 400_000, 120


def rows(data: Path, seeds=SEEDS, events: int = EVENTS, days: int = DAYS) -> list[dict]:
    """Coverage of the 90 % intervals over all products of several simulated shops. Needs none of the real data."""
    import pandas as pd

    from ml import prices

    found = pd.concat([elasticities(seed, events, days) for seed in seeds])
    own = found[found["estimate"].notna()]
    inside = (own["lo"] <= own["planted"]) & (own["planted"] <= own["hi"])
    narrow = prices.stats.norm.ppf(0.5 + prices.LEVEL / 2) * own["error"]
    alone = (own["estimate"] - own["planted"]).abs() <= narrow
    error = (own["elasticity"] - own["planted"]).pow(2).mean() ** 0.5
    error_alone = (own["estimate"] - own["planted"]).pow(2).mean() ** 0.5
    name = f"simulated shops, {len(own)} products of {len(list(seeds))}"
    return [
        row(name, "covered by 90 %", 100 * inside.mean(), "88 to 92", f"each product alone {100 * alone.mean():.1f}"),
        row(name, "error of an elasticity", error, "", f"each product alone {error_alone:.3g}"),
        row(name, "refused for want of variation", len(found) - len(own), "", f"of {len(found)} products"),
    ]


def row(name: str, measure: str, value: float, aim: str, note: str) -> dict:
    return {"set": name, "measure": measure, "value": float(value), "aim": aim, "published": "", "note": note}


def elasticities(seed: int, events: int, days: int):
    """What `ml.prices` says of one simulated shop, beside what was planted."""
    from ml import prices
    from orchestration.simulate.simulator import simulate

    with TemporaryDirectory() as folder:
        truth = simulate(Path(folder), start=date(2026, 1, 5), days=days, events=events, seed=seed, broken_rate=0)
        frame = product_days(Path(folder), truth)
    planted = {product.product_id: product.elasticity for product in truth.products}
    known = prices.elasticities(frame)
    return known.assign(planted=known.index.map(planted))


def product_days(folder: Path, truth):
    """Units and views by product and UTC day on which one price stood."""
    import duckdb
    import pandas as pd

    events = f"read_ndjson('{folder}/*.jsonl*', columns={{event_id: 'varchar', event_type: 'varchar', "
    events += "occurred_at: 'timestamptz', properties: 'json'})"
    with duckdb.connect() as connection:
        connection.execute(f"""
            set timezone = 'UTC';
            create table events as select distinct on (event_id) * from {events}
            where event_type in ('product_viewed', 'order_completed')""")
        views = connection.execute("""
            select properties ->> 'product_id' as product_id, occurred_at::date as day, count(*) as exposure
            from events where event_type = 'product_viewed' group by 1, 2""").df()
        units = connection.execute("""
            select line ->> 'product_id' as product_id, day, sum((line ->> 'quantity')::double) as units
            from (
                select occurred_at::date as day, unnest(from_json(properties -> 'products', '["json"]')) as line
                from events where event_type = 'order_completed'
            ) as lines group by 1, 2""").df()
    days = views.merge(units, on=["product_id", "day"], how="left").fillna({"units": 0.0})
    parts = []
    for product in truth.products:
        since = np.array([price.since.date() for price in product.prices], dtype="datetime64[D]")
        own = days[days["product_id"] == product.product_id]
        day = own["day"].to_numpy().astype("datetime64[D]")
        own = own.assign(
            price=np.array([float(price.price) for price in product.prices])[np.searchsorted(since, day, "right") - 1],
            category=product.category,
            is_promotion=False,
        )
        parts.append(own[~np.isin(day, since[1:])])  # on which two prices stood
    return pd.concat(parts)
