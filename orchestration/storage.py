"""Dagster's PostgreSQL storage that keeps its connections: a run records hundreds of events, each in several calls."""

from dagster_postgres import DagsterPostgresStorage

_NO_TIMEOUT = 0
_RECYCLE_SECONDS = 3600
_MOST_AT_ONCE = 20


class PooledPostgresStorage(DagsterPostgresStorage):
    """Dagster's own connects anew for every call, unless it serves its web pages; here it always does as it does there.

    It times out nothing, for a run may write what is large.
    """

    @classmethod
    def from_config_value(cls, inst_data, config_value) -> DagsterPostgresStorage:
        storage = super().from_config_value(inst_data, config_value)
        for part in (storage.run_storage, storage.event_log_storage, storage.schedule_storage):
            part.optimize_for_webserver(_NO_TIMEOUT, _RECYCLE_SECONDS, _MOST_AT_ONCE)
        return storage
