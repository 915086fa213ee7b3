"""`config/forecasts.yml`."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from orchestration.settings.analytics import ConfiguredName
from orchestration.settings.config import Config

NAME = "^[a-z][a-z0-9_]*$"
STORED = (80, 95)  # the levels that have columns of their own in ml.forecasts


class Forecast(Config):
    """One forecast of `config/forecasts.yml`: one model, of a metric and maybe of its parts."""

    of: Literal["metric", "products"] = Field("metric", description="products: units sold of each, and by category")
    metric: str | None = Field(None, pattern=NAME, description="as in api.metrics; the forecast's own name if left out")
    by: str | None = Field(None, pattern=NAME, description="a dimension of the metric, forecast too")
    most: int = Field(24, ge=1, description="parts forecast one by one, the largest; the rest as one")
    grain: Literal["day", "hour"] = "day"
    horizon: int = Field(28, ge=1, le=744, description="steps ahead")
    history: int = Field(1095, ge=56, description="steps back that are learned from")

    @model_validator(mode="after")
    def _of_one_thing(self) -> Self:
        if self.of == "products" and (self.metric or self.by or self.grain != "day"):
            raise ValueError("products are forecast by the day, product and category: leave out metric, by and grain")
        return self


class KnownEvent(Config):
    """Days on which something announced takes place, past and coming: both are needed to learn what it does."""

    days: list[tuple[date, date]] = Field(min_length=1, description="spans, first and last day")
    size: float = Field(1.0, gt=0, description="such as a discount")
    of: list[str] = Field([], description="the forecasts that it concerns; all where left out")
    is_promotion: bool = Field(False, description="more was sold for reasons other than the price")
    products: list[str] = Field([], description="what was promoted; with categories left out, too: everything")
    categories: list[str] = []

    @model_validator(mode="after")
    def _promotes(self) -> Self:
        if (self.products or self.categories) and not self.is_promotion:
            raise ValueError("products and categories are those of a promotion: say is_promotion: true, too")
        return self

    def promotes(self, day: date, product_id: str, category: str) -> bool:
        is_meant = product_id in self.products or category in self.categories
        is_on = any(first <= day <= last for first, last in self.days)
        return self.is_promotion and is_on and (is_meant or not (self.products or self.categories))


class Forecasts(Config):
    """`config/forecasts.yml`."""

    country: str | None = Field(None, pattern="^[A-Z]{2}$", description="ISO 3166: whose public holidays count")
    levels: list[Annotated[int, Field(gt=0, lt=100)]] = list(STORED)
    forecasts: dict[Annotated[str, Field(pattern=NAME)], Forecast]
    events: dict[ConfiguredName, KnownEvent] = {}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if missing := set(STORED) - set(self.levels):
            raise ValueError(f"levels must hold {min(missing)}, which reports and alerts read")
        for name, event in self.events.items():
            if unknown := set(event.of) - set(self.forecasts):
                raise ValueError(f"the event {name} is of {min(unknown)}, which is no forecast here")
        return self
