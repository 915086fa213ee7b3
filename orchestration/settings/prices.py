"""`config/prices.yml`: what units cost, and when something was promoted."""

from datetime import date
from typing import Annotated

from pydantic import Field

from orchestration.settings.config import Config


class Promotion(Config):
    """Days on which products were promoted, both included. Without products and categories: all."""

    begins: date = Field(alias="from")
    ends: date = Field(alias="until")
    products: list[str] = []
    categories: list[str] = []

    def covers(self, day: date, product_id: str, category: str) -> bool:
        is_meant = product_id in self.products or category in self.categories
        return self.begins <= day <= self.ends and (is_meant or not (self.products or self.categories))


class Prices(Config):
    """`config/prices.yml`."""

    unit_cost_rate: float = Field(ge=0, lt=1, description="a unit's cost as a share of the median price")
    unit_costs: dict[str, Annotated[float, Field(ge=0)]] = {}
    promotions: list[Promotion] = []
