"""`config/prices.yml`: what units cost. Promotions are events of `config/forecasts.yml`."""

from typing import Annotated

from pydantic import Field

from orchestration.settings.config import Config


class Prices(Config):
    """`config/prices.yml`."""

    unit_cost_rate: float = Field(ge=0, lt=1, description="a unit's cost as a share of the median price")
    unit_costs: dict[str, Annotated[float, Field(ge=0)]] = {}
