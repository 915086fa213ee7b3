"""The sensor that finds files in the watched folders. It looks at names, sizes and times, and reads no file."""

import os
from hashlib import sha256

import dagster as dg

from orchestration.ingest.jobs import ingest
from orchestration.ingest.sources import files
from orchestration.settings import sources
from orchestration.warehouse import database


@dg.sensor(
    job=ingest,
    description="Asks for a load of each source whose folder holds files that are new and no longer growing.",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def arrivals(_context: dg.SensorEvaluationContext):
    with database.connect() as connection:
        for name, source in sources().items():
            if source.path is None:
                continue
            found = files.arrived(connection, name, source)
            quiet = sorted(f"{path}:{seen}" for path, seen in found.items() if files.is_quiet(seen))
            if quiet:
                # The key says which files in which state: they are asked for once, until one of them changes.
                yield dg.RunRequest(
                    run_key=f"{name}:{sha256(os.fsencode(chr(10).join(quiet))).hexdigest()}",
                    run_config={"ops": {"raw__events": {"config": {"source": name}}}},
                )


sensors = [arrivals]
