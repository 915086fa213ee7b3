"""What stands in the warehouse, as plain values: for `status`, for the end of a run, and for programs (--json)."""

import psycopg

from orchestration.warehouse import database


def of_run(result) -> dict:
    """What a finished run did: what failed and why, files that could not be loaded, and the state of the gates."""
    failed = [
        {"step": event.step_key, "reason": _reason(event.step_failure_data.error)}
        for event in result.filter_events(lambda event: event.is_step_failure)
    ]
    loaded = [event.materialization.metadata for event in result.get_asset_materialization_events()]
    not_loaded = [sentence for metadata in loaded if "files not loaded" in metadata
                  for sentence in metadata["files not loaded"].value]  # fmt: skip
    with database.connect(rows=True) as connection:
        return {
            "job": result.dagster_run.job_name,
            "run_id": result.run_id,
            "success": result.success and not not_loaded,
            "failed": failed,
            "files_not_loaded": not_loaded,
            "models": _said_of_models(result),
            "gates": gates(connection, result.run_id),
            "held": held(connection),
        }


def _said_of_models(result) -> dict[str, str]:
    """The sentence that training or predicting left about each model."""
    return {
        name: value.value
        for event in result.get_asset_materialization_events()
        if event.asset_key.path[0] == "ml"
        for name, value in event.materialization.metadata.items()
        if isinstance(value.value, str)
    }


def _reason(error) -> str:
    """The message of a step's error that says what happened: the first meant for people, else the innermost."""
    while error.cause and error.cls_name != "TidemarkError":
        error = error.cause
    return " ".join(error.message.split(": ", 1)[-1].split())


def status(connection: psycopg.Connection) -> dict:
    """The whole state: loads, tables, gates, models, incidents and messages."""
    return {
        "loads": loads(connection),
        "newest_loads": connection.execute(
            "select load_id, source, locator, received, loaded, duplicate, quarantined, suppressed, committed_at "
            "from raw.loads order by load_id desc limit 5"
        ).fetchall(),
        "tables": connection.execute(
            "select table_name, load_id, built_at from ops.tidemarks where table_name not like 'gate:%' order by 1"
        ).fetchall(),
        "gates": gates(connection),
        "held": held(connection),
        "models": models(connection),
        "incidents": incidents(connection),
        "outbox": outbox(connection),
    }


def loads(connection: psycopg.Connection, after: int = 0) -> dict:
    """Records over all loads after one: received = loaded + duplicate + quarantined + suppressed."""
    return connection.execute(
        """select count(*) as loads, coalesce(sum(received), 0)::bigint as received,
                  coalesce(sum(loaded), 0)::bigint as loaded, coalesce(sum(duplicate), 0)::bigint as duplicate,
                  coalesce(sum(quarantined), 0)::bigint as quarantined,
                  coalesce(sum(suppressed), 0)::bigint as suppressed
           from raw.loads where load_id > %s""",
        [after],
    ).fetchone()


def gates(connection: psycopg.Connection, run_id: str | None = None) -> dict:
    """How many gates passed, warned and failed: in one run, or in the newest verdict on each table."""
    rows = connection.execute(
        """select distinct on (table_name) table_name, status
           from ops.gate_results where %(run)s::text is null or run_id = %(run)s
           order by table_name, gate_result_id desc""",
        {"run": run_id},
    ).fetchall()
    return {status: sum(row["status"] == status for row in rows) for status in ("passed", "warned", "failed")}


def held(connection: psycopg.Connection) -> list[dict]:
    """The tables behind a failed gate, since when and why."""
    return connection.execute("select table_name, since, load_id, sentence from ops.held_tables order by 1").fetchall()


def models(connection: psycopg.Connection) -> list[dict]:
    """The newest version of each model with its score beside the baseline's."""
    return connection.execute(
        "select distinct on (name) name, version, stage, metrics from ml.models order by name, version desc"
    ).fetchall()


def incidents(connection: psycopg.Connection) -> dict:
    return connection.execute(
        """select count(*) as opened, count(*) filter (where status = 'resolved') as resolved,
                  count(*) filter (where status <> 'resolved') as open from ops.incidents"""
    ).fetchone()


def outbox(connection: psycopg.Connection) -> dict:
    rows = connection.execute("select status, count(*) as messages from ops.outbox group by status").fetchall()
    return {"pending": 0, "sent": 0, "dead": 0} | {row["status"]: row["messages"] for row in rows}


def tables_built(connection: psycopg.Connection) -> int:
    """How many tables and views the warehouse's layers hold."""
    return connection.execute("select count(*) as tables from ops.definitions").fetchone()["tables"]
