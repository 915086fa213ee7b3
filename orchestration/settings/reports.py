"""`config/reports.yml`."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from orchestration.settings.config import Address, Config, TimeZone


def _known_cron(text: str) -> str:
    fields = text.split()
    if len(fields) != 5 or not all(re.fullmatch(r"[\dA-Za-z*/,-]+", field) for field in fields):
        raise ValueError(f"{text!r} is not a cron schedule of five fields, such as '0 7 * * 1' for Mondays at 07:00")
    return text


def _known_locale(name: str) -> str:
    from babel import Locale, UnknownLocaleError

    try:
        Locale.parse(name)
    except (UnknownLocaleError, ValueError):
        raise ValueError(f"{name!r} is not a locale, such as en, en_US or de_DE") from None
    return name


def _address_alone(given: Any) -> Any:
    return {"address": given} if isinstance(given, str) else given


Cron = Annotated[str, AfterValidator(_known_cron)]
ReportName = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
Grain = Literal["day", "week", "month", "quarter"]
Format = Literal["pdf", "xlsx", "csv"]


class Recipient(Config):
    """Who gets a report, what they may see of it, and in which form."""

    address: Address
    login: Annotated[str, Field(pattern="^[a-z_][a-z0-9_]*$")] | None = Field(
        None, description="the database login with whose rights all figures are read; none: all that is published"
    )
    locale: Annotated[str, AfterValidator(_known_locale)] = Field(
        "en", description="how its figures and dates are written"
    )
    formats: list[Format] = Field(["pdf"], description="what is attached; the mail itself is text and HTML")


class Report(Config):
    """One report of `config/reports.yml`."""

    description: str = ""
    template: ReportName
    parameters: dict[str, str | int | None] = Field({}, description="what its template asks for")
    cron: Cron = Field(description="when it is sent, in its time zone")
    timezone: TimeZone | None = Field(None, description="the tenant's, unless given")
    period: Grain = Field("week", description="it is about the newest one that is complete")
    only_final: bool = Field(False, description="held back until no figure of the period can change by lateness")
    owner: Address | None = Field(None, description="is told when it is held back")
    recipients: list[Annotated[Recipient, BeforeValidator(_address_alone)]] = Field(min_length=1)


class Reports(Config):
    """`config/reports.yml`."""

    allow: list[Annotated[str, Field(pattern=r"^([^@\s,;<>]+@)?[^@\s,;<>]+$")]] = Field(
        min_length=1, description="addresses, and domains, that reports may be sent to"
    )
    reports: dict[ReportName, Report]

    def allows(self, address: str) -> bool:
        """Whether reports may be sent there."""
        wanted = address.casefold()
        return any(
            wanted in (entry.casefold(), f"{wanted.rpartition('@')[0]}@{entry.casefold()}") for entry in self.allow
        )

    @model_validator(mode="after")
    def _sends_where_it_may(self) -> Self:
        for name, report in self.reports.items():
            owner = [(report.owner, (name, "owner"))] if report.owner else []
            places = [(one.address, (name, "recipients", n)) for n, one in enumerate(report.recipients)]
            for address, path in owner + places:
                if not self.allows(address):
                    raise PydanticCustomError(
                        "recipient",
                        "{address} may not be sent reports: add it or its domain to `allow`",
                        {"address": address, "path": ("reports", *path)},
                    )
        return self
