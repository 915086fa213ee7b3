"""The sensor that asks for a training out of turn. It reads what predicting has written, and does no work itself."""

import dagster as dg

from orchestration.predict import retraining
from orchestration.predict.jobs import train
from orchestration.warehouse import database


@dg.sensor(
    job=train,
    description="Trains again, before the night, what drifted away from what it learned, and forecasts whose intervals "
    "do not hold; each model at most once a day for the same cause.",
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def retraining_due(context: dg.SensorEvaluationContext):
    with database.connect("ml") as connection:
        found = retraining.due(connection)
    if not found:
        return dg.SkipReason("No input drifted, and intervals hold.")
    for one in found:
        context.log.info(f"{one.model_id}: {one.cause}")
    return [
        dg.RunRequest(
            run_key=f"{one.model_id} {one.cause} {one.since}",
            run_config={"ops": {"ml__models": {"config": {"names": [one.name]}}}},
            tags={"tidemark/cause": one.cause},
        )
        for one in found
    ]


sensors = [retraining_due]
