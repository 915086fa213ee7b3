"""The job that only loads. The job that loads and refreshes goes through several stages and stands with those."""

import dagster as dg

from orchestration.ingest.assets import raw_events

ingest = dg.define_asset_job(
    "ingest",
    selection=dg.AssetSelection.assets(raw_events),
    description="Load files of a source, or whatever arrived in the watched folders. Twice is once.",
)

jobs = [ingest]
