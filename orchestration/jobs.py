"""The jobs that go through several stages, and their schedules. A job of one stage stands in its stage's folder."""

import dagster as dg

from orchestration.settings import tenant
from orchestration.transform.assets import assets as layers

# One run at a time writes the warehouse's tables: two would wait for each other's locks, table by table.
EXCLUSIVE = {"tidemark/exclusive": "warehouse"}

_staging, _marts, _published, _predictions = (dg.AssetSelection.assets(*layer.keys) for layer in layers)
_raw = dg.AssetSelection.assets(["raw", "events"])
_predicted = dg.AssetSelection.assets(
    *(["ml", name] for name in ("forecasts", "forecast_scores", "anomalies", "churn_scores", "room_scores")),
    *(["ml", name] for name in ("unusual_behaviour", "recommendations", "experiment_results", "price_recommendations")),
)

refresh = dg.define_asset_job(
    "refresh",
    selection=_raw | _staging | _marts | _published,
    description="Take in the files that arrived, then bring every table up to one tide mark, gate by gate. "
    "Costs what changed; with nothing new, nothing is computed.",
    tags=EXCLUSIVE,
)

rebuild = dg.define_asset_job(
    "rebuild",
    selection=_raw | _staging | _marts | _published,
    description="Compute a range of hours again as if every event of theirs had just arrived: set rebuild_from and "
    "rebuild_to, days or hours of the tenant. May be launched beside the hourly schedule.",
    config={
        "ops": {"raw__events": {"config": {"paths": [], "rebuild_from": "2026-03-01", "rebuild_to": "2026-03-08"}}}
    },
    tags=EXCLUSIVE,
)

predict = dg.define_asset_job(
    "predict",
    selection=_predicted | _predictions,
    description="Forecast, detect anomalies, score churn, recommend, judge experiments; publish what passes its gate.",
    tags=EXCLUSIVE,
)

jobs = [refresh, rebuild, predict]

_zone = tenant().timezone

schedules = [
    dg.ScheduleDefinition(
        name="hourly_refresh",
        job=refresh,
        cron_schedule="5 * * * *",
        execution_timezone=_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Five minutes past every hour.",
    ),
    dg.ScheduleDefinition(
        name="hourly_predict",
        job=predict,
        cron_schedule="20 * * * *",
        execution_timezone=_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="After the refresh: anomalies of the new hours, and the forecasts from the newest complete day.",
    ),
]
