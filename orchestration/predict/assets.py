"""The assets of learning. What they do is in `train` and `predict`; a model without enough data says so."""

import dagster as dg
from pydantic import Field

from orchestration.predict import predict, train
from orchestration.predict.predict import Predicted
from orchestration.warehouse import database

_FIGURES = [dg.AssetKey(["api", "metric_daily"]), dg.AssetKey(["api", "metric_hourly"])]
_PEOPLE = dg.AssetKey(["api", "user_daily"])
_SHOP = [dg.AssetKey(["api", "products"]), dg.AssetKey(["api", "price_history"])]
_EXPERIMENTS = dg.AssetKey(["marts", "experiment_users"])


class Training(dg.Config):
    """What is learned."""

    metrics: list[str] = Field(
        list(train.FORECAST_METRICS),
        description="The daily metrics that get a forecast, by their names in api.metrics.",
    )
    horizon_days: int = Field(train.HORIZON_DAYS, ge=1, le=366, description="How many days ahead forecasts reach.")


class Forecasting(dg.Config):
    """What is forecast."""

    metrics: list[str] = Field(
        list(train.FORECAST_METRICS), description="The daily metrics to forecast, each with its model in service."
    )


@dg.asset(key=["ml", "models"], deps=[*_FIGURES, _PEOPLE, *_SHOP], group_name="ml", kinds={"python", "scikitlearn"})
def models(context: dg.AssetExecutionContext, config: Training) -> dg.MaterializeResult:
    """Every model trained on final figures and scored out of sample; it serves only if it beats a plain baseline."""
    with database.connect() as connection:
        trained = train.train_all(connection, config.metrics, config.horizon_days)
    sentences = dict(train.summary(trained))
    for name, sentence in sentences.items():
        context.log.info(f"{name}: {sentence}")
    scores = {f"{model.name} {model.metrics['measure']}": model.metrics["value"] for model in trained if model.metrics}
    return dg.MaterializeResult(metadata={**sentences, **scores})


@dg.asset(key=["ml", "forecasts"], deps=[_FIGURES[0], models], group_name="ml", kinds={"python", "postgres"})
def forecasts(context: dg.AssetExecutionContext, config: Forecasting) -> dg.MaterializeResult:
    """Daily metrics of the days to come, with intervals of 80 and 95 %."""
    with database.connect() as connection:
        return _result(context, predict.predict_forecasts(connection, config.metrics))


@dg.asset(key=["ml", "anomalies"], deps=[_FIGURES[1], models], group_name="ml", kinds={"python", "postgres"})
def anomalies(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """How unusual each final hour of each metric was, judged by the hours before it."""
    with database.connect() as connection:
        return _result(context, predict.predict_anomalies(connection))


@dg.asset(
    key=["ml", "churn_scores"], deps=[_FIGURES[0], _PEOPLE, models], group_name="ml", kinds={"python", "postgres"}
)
def churn_scores(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """How likely each person is to stay away for the next two weeks, and why."""
    with database.connect() as connection:
        return _result(context, predict.predict_churn(connection))


@dg.asset(key=["ml", "recommendations"], deps=[*_SHOP, _PEOPLE, models], group_name="ml", kinds={"python", "postgres"})
def recommendations(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Content, lessons and products that people, open rooms and sellers are likely to want, each with a reason."""
    with database.connect() as connection:
        return _result(context, predict.predict_recommendations(connection))


@dg.asset(
    key=["ml", "experiment_results"], deps=[_FIGURES[0], _EXPERIMENTS], group_name="ml", kinds={"python", "postgres"}
)
def experiment_results(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Each variant against the first, with bounds that allow a look every day, and a decision in a sentence."""
    with database.connect() as connection:
        return _result(context, predict.predict_experiments(connection))


@dg.asset(key=["ml", "price_recommendations"], deps=[*_SHOP, models], group_name="ml", kinds={"python", "postgres"})
def price_recommendations(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The price that would earn most, with what it is expected to gain, or why none is recommended."""
    with database.connect() as connection:
        return _result(context, predict.predict_prices(connection))


def _result(context: dg.AssetExecutionContext, predicted: list[Predicted]) -> dg.MaterializeResult:
    sentences = {
        one.name: f"skipped: {one.reason}" if one.reason else f"{one.rows} rows by {one.model_id or 'no model'}"
        for one in predicted
    }
    for name, sentence in sentences.items():
        context.log.info(f"{name}: {sentence}")
    return dg.MaterializeResult(metadata={**sentences, "rows": sum(one.rows for one in predicted)})


assets = [models, forecasts, anomalies, churn_scores, recommendations, experiment_results, price_recommendations]
