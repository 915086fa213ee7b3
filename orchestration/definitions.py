"""The architecture on one page: the stages, merged in the order in which data flows."""

import dagster as dg

from orchestration import fast, jobs, progress
from orchestration.alerts import assets as alerts
from orchestration.alerts import jobs as alert_jobs
from orchestration.alerts import sensors as alert_sensors
from orchestration.gates import assets as gates
from orchestration.ingest import assets as ingest
from orchestration.ingest import jobs as ingest_jobs
from orchestration.ingest import sensors as arrivals
from orchestration.outbox import jobs as outbox_jobs
from orchestration.outbox import sensors as outbox_sensors
from orchestration.predict import assets as predict
from orchestration.predict import jobs as predict_jobs
from orchestration.predict import schedules as predict_schedules
from orchestration.predict import sensors as predict_sensors
from orchestration.privacy import jobs as privacy_jobs
from orchestration.privacy import schedules as privacy_schedules
from orchestration.reports import jobs as report_jobs
from orchestration.reports import schedules as report_schedules
from orchestration.transform import assets as transform

defs = dg.Definitions(
    assets=[*ingest.assets, *transform.assets, *fast.assets, *predict.assets, *alerts.assets],
    asset_checks=gates.asset_checks,
    jobs=[
        *ingest_jobs.jobs,
        *jobs.jobs,
        *fast.jobs,
        *predict_jobs.jobs,
        *alert_jobs.jobs,
        *report_jobs.jobs,
        *outbox_jobs.jobs,
        *privacy_jobs.jobs,
    ],
    schedules=[
        *jobs.schedules,
        *predict_schedules.schedules,
        *report_schedules.schedules,
        *privacy_schedules.schedules,
    ],
    sensors=[
        *arrivals.sensors,
        *fast.sensors,
        *predict_sensors.sensors,
        *alert_sensors.sensors,
        *outbox_sensors.sensors,
    ],
    loggers={"progress": progress.progress},
    # One process a run: a process a step would cost two seconds a step, and the steps are light.
    executor=dg.in_process_executor,
)
