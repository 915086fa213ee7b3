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
    not_loaded = [sentence for metadata in loaded if "not loaded" in metadata
                  for sentence in metadata["not loaded"].value]  # fmt: skip
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
        "freshness": freshness(connection),
        "newest_loads": connection.execute(
            "select load_id, source, locator, received, loaded, duplicate, quarantined, suppressed, committed_at "
            "from raw.loads order by load_id desc limit 5"
        ).fetchall(),
        "tables": connection.execute(
            "select table_name, load_id, built_at from ops.tidemarks where table_name not like 'gate:%' order by 1"
        ).fetchall(),
        "gates": gates(connection),
        "held": held(connection),
        "unread": unread(connection),
        "schema_changes": schema_changes(connection),
        "models": models(connection),
        "incidents": incidents(connection),
        "outbox": outbox(connection),
        "dead_letters": dead_letters(connection),
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


def freshness(connection: psycopg.Connection) -> dict:
    """Seconds from receiving an event to each stage of the fast lane, over the loads of its newest hour.

    `loaded`, `aggregated` and `visible` have `p50` and `p99` over events, None without loads; `held` is the sentence
    that says why minutes are not published now, and what is not visible yet has no part in `visible`.
    """
    stages = ("loaded", "aggregated", "visible")
    rows = connection.execute(
        """with recent as (
               select * from ops.load_stamps
               where loaded_at > (select max(loaded_at) from ops.load_stamps) - interval '1 hour'
           ),
           ranked as (
               select stage, seconds,
                   sum(events) over (partition by stage order by seconds) as upto,
                   sum(events) over (partition by stage) as total
               from recent
               cross join lateral (
                   values ('loaded', loaded_at), ('aggregated', aggregated_at), ('visible', visible_at)
               ) as stages (stage, moment)
               cross join lateral (select extract(epoch from moment - received_at)::double precision as seconds) as took
               where moment is not null
           )
           select stage, min(seconds) filter (where upto >= 0.5 * total) as p50,
               min(seconds) filter (where upto >= 0.99 * total) as p99
           from ranked group by stage"""
    ).fetchall()
    took = {row["stage"]: {"p50": row["p50"], "p99": row["p99"]} for row in rows}
    newest = connection.execute(
        """select count(*) as loads, (select sentence from ops.held_minutes) as held from ops.load_stamps
           where loaded_at > (select max(loaded_at) from ops.load_stamps) - interval '1 hour'"""
    ).fetchone()
    return newest | {stage: took.get(stage, {"p50": None, "p99": None}) for stage in stages}


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


def schema_changes(connection: psycopg.Connection) -> list[dict]:
    """The ten newest changes in what events are made of, those that still stand out first."""
    return connection.execute(
        """select source, event_type, field, change, detail, first_at, last_at, load_id, is_open
           from ops.schema_changes order by is_open desc, load_id desc, source, event_type, field limit 10"""
    ).fetchall()


def unread(connection: psycopg.Connection) -> list[dict]:
    """What cannot be read of the sources that are looked at, since when and why."""
    query = "select source, locator, since, sentence from ops.source_failures order by since, locator"
    return connection.execute(query).fetchall()


def models(connection: psycopg.Connection) -> list[dict]:
    """The version of each model that serves, or else its newest, with its score beside the baseline's."""
    return connection.execute(
        "select distinct on (name) name, version, stage, verdict, metrics from ml.models "
        "order by name, stage = 'serving' desc, version desc"
    ).fetchall()


def incidents(connection: psycopg.Connection) -> dict:
    return connection.execute(
        """select count(*) as opened, count(*) filter (where status = 'resolved') as resolved,
                  count(*) filter (where status <> 'resolved') as open from ops.incidents"""
    ).fetchone()


def outbox(connection: psycopg.Connection) -> dict:
    rows = connection.execute("select status, count(*) as messages from ops.outbox group by status").fetchall()
    return {"pending": 0, "sent": 0, "dead": 0} | {row["status"]: row["messages"] for row in rows}


def dead_letters(connection: psycopg.Connection) -> list[dict]:
    """The ten newest messages that were given up, to whom, and why."""
    return connection.execute(
        """select created_at, channel, recipient, topic, subject, attempts, last_error
           from ops.outbox where status = 'dead' order by created_at desc, message_id limit 10"""
    ).fetchall()


def tables_built(connection: psycopg.Connection) -> int:
    """How many tables and views the warehouse's layers hold."""
    return connection.execute("select count(*) as tables from ops.definitions").fetchone()["tables"]
