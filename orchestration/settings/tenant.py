"""`config/tenant.yml`."""

from decimal import Decimal
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from orchestration.settings.config import Config, Currency, TimeZone


class Tenant(Config):
    """`config/tenant.yml`: whose days, money and people these are."""

    name: str = Field(description="shown at the head of reports")
    timezone: TimeZone = Field("UTC", description="a day is a day here")
    currency: Currency = Field("EUR", description="the currency of totals")
    reporting_limits: dict[Currency, Annotated[Decimal, Field(gt=0)]] = Field(
        {}, description="by currency, from which amount a transaction has to be reported"
    )
    near_limit_rate: Decimal = Field(Decimal("0.1"), gt=0, lt=1, description="how far below a limit is near it")

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)
