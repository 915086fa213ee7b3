"""The job that trains. Predicting goes on through gates and dbt, so its job stands with those of several stages."""

import dagster as dg

from orchestration.predict.assets import models

train = dg.define_asset_job(
    "train",
    selection=dg.AssetSelection.assets(models),
    description="Train every model on final figures, score it out of sample beside its baseline, and put it into "
    "service if it is better. Predictions follow with the next run of predict.",
    executor_def=dg.in_process_executor,
)

jobs = [train]
