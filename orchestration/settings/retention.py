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


class Retention(Config):
    """`config/retention.yml`."""

    tables: dict[Literal["raw.events"], Kept]
    runs: Period = Field(description="how long Dagster's records of runs are kept")
