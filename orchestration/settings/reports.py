"""`config/reports.yml`."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from orchestration.settings.config import Address, Config, TimeZone


def _known_cron(text: str) -> str:
    fields = text.split()
    if len(fields) != 5 or not all(re.fullmatch(r"[\dA-Za-z*/,-]+", field) for field in fields):
        raise ValueError(f"{text!r} is not a cron schedule of five fields, such as '0 7 * * 1' for Mondays at 07:00")
    return text


Cron = Annotated[str, AfterValidator(_known_cron)]
ReportName = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]


class Report(Config):
    """One report of `config/reports.yml`."""

    description: str = ""
    template: ReportName
    cron: Cron = Field(description="when it is sent, in its time zone")
    timezone: TimeZone | None = Field(None, description="the tenant's, unless given")
    recipients: list[Address] = Field(min_length=1)


class Reports(Config):
    """`config/reports.yml`."""

    reports: dict[ReportName, Report]
