"""The assets of learning. What they do is in `train` and `predict`; a model without enough data says so."""

import dagster as dg
from pydantic import Field

from orchestration.predict import feedback, predict, train
from orchestration.predict.predict import Predicted
from orchestration.warehouse import database

_FIGURES = [dg.AssetKey(["api", "metric_daily"]), dg.AssetKey(["api", "metric_hourly"])]
_PEOPLE = dg.AssetKey(["views", "churn_features"])
_ROOMS = [dg.AssetKey(["marts", "room_openings"]), dg.AssetKey(["api", "rooms"])]
_PRODUCTS = dg.AssetKey(["marts", "product_daily"])
_SHOP = [dg.AssetKey(["api", "products"]), dg.AssetKey(["api", "price_history"])]
_EXPERIMENTS = dg.AssetKey(["marts", "experiment_users"])


class Training(dg.Config):
    """What is learned."""

    names: list[str] | None = Field(None, description="Only these models, by their names in ml.models; else all.")


class Forecasting(dg.Config):
    """What is forecast."""

    names: list[str] | None = Field(None, description="Only these forecasts of config/forecasts.yml; else all.")


@dg.asset(
    key=["ml", "models"],
    deps=[*_FIGURES, _PEOPLE, _PRODUCTS, *_SHOP, *_ROOMS],
    group_name="ml",
    kinds={"python", "scikitlearn"},
)
def models(context: dg.AssetExecutionContext, config: Training) -> dg.MaterializeResult:
    """Every model trained on final figures and scored out of sample; it serves only if it is better than what does."""
    with database.connect("ml") as connection:
        trained = train.train_all(connection, config.names, lambda name: context.log.info(f"{name}: training"))
    sentences = dict(train.summary(trained))
    for name, sentence in sentences.items():
        context.log.info(f"{name}: {sentence}")
    scores = {f"{model.name} {model.metrics['measure']}": model.metrics["value"] for model in trained if model.metrics}
    return dg.MaterializeResult(metadata={**sentences, **scores})


@dg.asset(key=["ml", "forecasts"], deps=[*_FIGURES, _PRODUCTS, models], group_name="ml", kinds={"python", "postgres"})
def forecasts(context: dg.AssetExecutionContext, config: Forecasting) -> dg.MaterializeResult:
    """The days and hours to come, with intervals of 80 and 95 %, frozen as they are made."""
    with database.connect("ml") as connection:
        return _result(context, predict.predict_forecasts(connection, config.names))


@dg.asset(key=["ml", "forecast_scores"], deps=[*_FIGURES, forecasts], group_name="ml", kinds={"python", "postgres"})
def forecast_scores(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """What became of the forecasts made before: each value beside the truth that has arrived since."""
    with database.connect("ml") as connection:
        scored = feedback.score_forecasts(connection)
    return dg.MaterializeResult(metadata={**scored, "rows": sum(scored.values())})


@dg.asset(key=["ml", "anomalies"], deps=[_FIGURES[1], models], group_name="ml", kinds={"python", "postgres"})
def anomalies(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """How unusual each final hour of each metric was, judged by the hours before it."""
    with database.connect("ml") as connection:
        return _result(context, predict.predict_anomalies(connection))


@dg.asset(
    key=["ml", "churn_scores"], deps=[_FIGURES[0], _PEOPLE, models], group_name="ml", kinds={"python", "postgres"}
)
def churn_scores(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """How likely each person is to stay away for the next two weeks, and why."""
    with database.connect("ml") as connection:
        context.log.info(f"{feedback.settle_churn(connection):,} earlier scores settled by what people did since")
        return _result(context, predict.predict_churn(connection))


@dg.asset(key=["ml", "recommendations"], deps=[*_SHOP, _PEOPLE, models], group_name="ml", kinds={"python", "postgres"})
def recommendations(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Content, lessons and products that people, open rooms and sellers are likely to want, each with a reason."""
    with database.connect("ml") as connection:
        return _result(context, predict.predict_recommendations(connection))


@dg.asset(
    key=["ml", "experiment_results"], deps=[_FIGURES[0], _EXPERIMENTS], group_name="ml", kinds={"python", "postgres"}
)
def experiment_results(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Each variant against the first, with bounds that allow a look every day, and a decision in a sentence."""
    with database.connect("ml") as connection:
        return _result(context, predict.predict_experiments(connection))


@dg.asset(key=["ml", "price_recommendations"], deps=[*_SHOP, models], group_name="ml", kinds={"python", "postgres"})
def price_recommendations(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The price that would earn most, with what it is expected to gain, or why none is recommended."""
    with database.connect("ml") as connection:
        return _result(context, predict.predict_prices(connection))


@dg.asset(key=["ml", "room_scores"], deps=[*_ROOMS, models], group_name="ml", kinds={"python", "postgres"})
def room_scores(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """How likely each new room is to match within a day, foretold six minutes after its creation, and why."""
    with database.connect("ml") as connection:
        return _result(context, predict.predict_room_success(connection))


@dg.asset(
    key=["ml", "unusual_behaviour"],
    deps=[_PEOPLE, _ROOMS[1], dg.AssetKey(["api", "sellers"])],
    group_name="ml",
    kinds={"python", "postgres"},
)
def unusual_behaviour(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """How unusual each user, seller and room is among their like, and in what."""
    with database.connect("ml") as connection:
        return _result(context, predict.judge_behaviour(connection))


def _result(context: dg.AssetExecutionContext, predicted: list[Predicted]) -> dg.MaterializeResult:
    sentences = {
        one.name: f"skipped: {one.reason}" if one.reason else f"{one.rows} rows by {one.model_id or 'no model'}"
        for one in predicted
    }
    for name, sentence in sentences.items():
        context.log.info(f"{name}: {sentence}")
    return dg.MaterializeResult(metadata={**sentences, "rows": sum(one.rows for one in predicted)})


assets = [
    models,
    forecasts,
    forecast_scores,
    anomalies,
    churn_scores,
    room_scores,
    unusual_behaviour,
    recommendations,
    experiment_results,
    price_recommendations,
]
