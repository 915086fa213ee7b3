"""Which price of a product would earn most, by how demand followed its prices so far."""

import json
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

import psycopg

from orchestration import settings
from orchestration.predict import registry
from orchestration.predict.inputs import SQL
from orchestration.predict.made import Challenger, Lesson, Made
from orchestration.predict.registry import Metrics

if TYPE_CHECKING:
    import pandas as pd

NAME = "price_elasticity"
LEAST_ROWS = 200  # products' days
COLUMNS = (
    "product_id",
    "category",
    "currency",
    "elasticity",
    "elasticity_lo",
    "elasticity_hi",
    "promotion_effect",
    "price",
    "unit_cost",
    "lowest_price",
    "highest_price",
    "recommended_price",
    "recommended_lo",
    "recommended_hi",
    "gain_28d",
    "gain_28d_lo",
    "gain_28d_hi",
    "reason",
)


def read(connection: psycopg.Connection) -> "pd.DataFrame":
    """product_id, category, day, units, price, exposure, is_promotion: days on which one price stood."""
    import pandas as pd

    rows = connection.execute((SQL / "price_days.sql").read_text()).fetchall()
    frame = pd.DataFrame(rows, columns=["product_id", "category", "day", "units", "price", "exposure"])
    events = settings.forecasts().events.values()
    named = zip(frame["day"], frame["product_id"], frame["category"], strict=True)
    return frame.assign(is_promotion=[any(one.promotes(*which) for one in events) for which in named])


def lesson(connection: psycopg.Connection) -> Lesson:
    import pandas as pd

    days = read(connection)
    if len(days) < LEAST_ROWS:
        return Lesson(NAME, reason=f"Prices are known on {len(days)} days of products: a test needs {LEAST_ROWS}.")
    from ml import prices

    data_hash = sha256(pd.util.hash_pandas_object(days, index=False).to_numpy().tobytes()).hexdigest()
    return Lesson(NAME, partial(learn, days), data_hash, {"level": prices.LEVEL})


def learn(days: "pd.DataFrame", before: bytes | None) -> Challenger | str:
    """Estimate, and test on the last fifth of the days, beside demand that knows no price and the one in service."""
    from ml import prices

    try:
        scored, against = prices.evaluate(days, before and _load(before))
    except ValueError as error:
        return str(error)
    metrics = Metrics(
        measure="Poisson deviance",
        better="lower",
        value=scored["deviance"],
        baseline=scored["deviance_without_price"],
        baseline_name="demand that knows no price",
        tested_on=f"{scored['n']} days of products in the last fifth of the time",
        also={"deviance_each_alone": scored["deviance_each_alone"]},
    )
    known = prices.elasticities(days).reset_index()
    artefact = json.dumps(json.loads(known.to_json(orient="records", double_precision=15)), sort_keys=True).encode()
    return Challenger(artefact, metrics, against)


def _load(artefact: bytes) -> "pd.DataFrame":
    """What `ml.prices.elasticities` returned."""
    import pandas as pd

    return pd.DataFrame(json.loads(artefact)).set_index("product_id")


def predict(connection: psycopg.Connection) -> list[Made]:
    """A recommended price or a reason against one, for each product that the model knows and the shop still shows."""
    model = registry.in_service(connection, NAME)
    if model is None:
        return [Made(NAME, reason=f"No model {NAME} is in service: run train.")]
    import pandas as pd

    from ml import prices

    known = _load(registry.load_artefact(model))
    shown = connection.execute(
        "select product_id, currency, price::double precision, sold_units_28d::double precision from api.products"
    ).fetchall()
    currency = {product: name for product, name, price, _ in shown if price}
    price = {product: value for product, _, value, _ in shown if value}
    units = {product: value for product, _, _, value in shown}
    told = settings.prices()
    cost = {
        product: told.unit_costs.get(product, told.unit_cost_rate * usual)
        for product, usual in known["usual_price"].items()
    }
    best = prices.recommended(known, price, units, cost)
    joined = known.join(best.rename(columns={name: f"{name}_best" for name in ("lo", "hi", "reason")}), how="inner")
    rows = []
    for product, row in joined.iterrows():
        figures = [
            *(row["elasticity"], row["lo"], row["hi"], row["promotion_effect"], row["price"], row["cost"]),
            *(row["lowest_price"], row["highest_price"], row["recommended_price"], row["lo_best"], row["hi_best"]),
            *(row["gain"], row["gain_lo"], row["gain_hi"]),
        ]
        figures = [None if pd.isna(value) else float(value) for value in figures]
        reason = row["reason_best"] if pd.notna(row["reason_best"]) else None
        rows.append((product, row["category"], currency[product], *figures, reason))
    return [Made(NAME, model.model_id, tuple(rows))]
