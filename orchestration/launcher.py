"""A run launcher that notices when the process of a run is gone: without it such a run stays STARTED for ever."""

import psutil
from dagster import DagsterEventType, DagsterRun
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus


class SupervisedRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, with a look at the worker's process when run monitoring asks after a run.

    Only a run that says STARTED is judged, by the process number that its worker wrote into the event log.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        pid = self._worker_pid(run.run_id)
        if pid is None or _runs(pid):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"The process {pid} of this run is gone: it was killed.")

    def _worker_pid(self, run_id: str) -> int | None:
        for record in self._instance.all_logs(run_id, of_type=DagsterEventType.ENGINE_EVENT):
            pid = record.dagster_event.event_specific_data.metadata.get("pid")
            if pid is not None:
                return int(pid.value)
        return None


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
