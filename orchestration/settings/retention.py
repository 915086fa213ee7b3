"""`config/retention.yml`."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from orchestration.settings.config import Config


def _known_period(text: str) -> str:
    if not re.fullmatch(r"P(?=\d)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?", text) or not re.search("[1-9]", text):
        raise ValueError(f"{text!r} is not a period of years, months, weeks or days, such as P6M or P2W")
    return text


Period = Annotated[str, AfterValidator(_known_period)]


class Kept(Config):
    """How long the rows of a table are kept, and what becomes of them then."""

    keep: Period = Field(description="up to this long before the newest complete event time")
    then: Literal["archive", "drop"] = Field(description="archive: a Parquet file, from which it can be restored")
    archives: Period | None = Field(
        None, description="how long archives are kept, counted back likewise; none: for ever"
    )


class Dropped(Config):
    """How long rows are kept that nothing is made from: by the clock, since they came or were sent."""

    keep: Period


class Tables(Config):
    """The tables whose rows go. Any other is kept for ever."""

    raw_events: Kept = Field(alias="raw.events")
    raw_quarantine: Dropped | None = Field(None, alias="raw.quarantine", description="records that were refused")
    ops_outbox: Dropped | None = Field(None, alias="ops.outbox", description="messages that were sent or given up")


class Retention(Config):
    """`config/retention.yml`."""

    tables: Tables
    event_types: dict[str, Period] = Field({}, description="raw events of a type that go before the others, for good")
    runs: Period = Field(description="how long Dagster's records of runs are kept")
