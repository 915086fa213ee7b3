"""Models that learned from somebody who was erased: once another serves, their artefacts go."""

import psycopg

from orchestration.settings import settings


def forget(connection: psycopg.Connection) -> tuple[list[str], list[str]]:
    """Delete the artefacts of those that were replaced; return these models, and those that are overdue."""
    deleted = connection.execute(
        """update ml.models as gone set artefact = null, retrain_by = null
           where retrain_by is not null and stage in ('retired', 'rejected')
           returning model_id, (select artefact from ml.models where model_id = gone.model_id)"""
    ).fetchall()
    kept = {path for (path,) in connection.execute("select artefact from ml.models").fetchall()}
    for _, artefact in deleted:
        if artefact and artefact not in kept:  # the same bytes may serve under another version
            (settings().directory("models") / artefact).unlink(missing_ok=True)
    query = "select model_id from ml.models where retrain_by < clock_timestamp() and stage in ('serving', 'candidate')"
    return [model for model, _ in deleted], [model for (model,) in connection.execute(query).fetchall()]
