"""What a simulation planted, and the totals that any correct reader of its files must find."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel


class Incident(BaseModel):
    """Hours in which a metric was pushed away from its usual course. `end` is None when it lasts beyond the files."""

    kind: str
    description: str
    metric: str
    segment: str
    start: datetime
    end: datetime | None
    direction: Literal["up", "down"]
    moves_too: list[str]


class Churner(BaseModel):
    """A person who left for good. Everybody who is not listed stayed."""

    user_id: str
    left_at: datetime
    is_gradual: bool


class Price(BaseModel):
    """A price, and since when it holds."""

    since: datetime
    price: Decimal


class Product(BaseModel):
    """Of those who see a product at price p, a share proportional to (p / base_price) ** elasticity takes it."""

    product_id: str
    category: str
    base_price: Decimal
    elasticity: float
    prices: list[Price]


class Oversold(BaseModel):
    """A product of which more was sold than there was."""

    product_id: str
    since: datetime


class Cohort(BaseModel):
    """People who first came in the week from this Monday: all of them, and those who came in each later week."""

    week: date
    users: list[int]


class Variant(BaseModel):
    """Whose first exposure was this variant; who of them saw another one; who ordered within a week, for how much."""

    experiment: str
    variant: str
    users: int
    mixed_users: int
    converted_users: int
    value: Decimal


class DayTotals(BaseModel):
    """A UTC day's orders and money in EUR: `revenue` is what was sold less what was `refunded`."""

    date: date
    orders: int
    revenue: Decimal
    refunded: Decimal


class File(BaseModel):
    """One file of events, and the number of its lines."""

    name: str
    lines: int


class Truth(BaseModel):
    """Everything known about one simulation. `lines` = the sum of `events` + `duplicates` + the sum of `broken`."""

    seed: int
    start: datetime
    end: datetime
    currency: str
    users: int
    events: dict[str, int]
    lines: int
    late: int
    duplicates: int
    broken: dict[str, int]
    files: list[File]
    days: list[DayTotals]
    incidents: list[Incident]
    churners: list[Churner]
    products: list[Product]
    oversold_products: list[Oversold]
    split_sellers: list[str]  # sold in parts, each just below what has to be reported
    struggling_learners: list[str]
    abandoned_rooms: list[str]
    cohorts: list[Cohort]  # weeks and days in UTC
    funnels: dict[str, list[int]]  # entries of a person and a UTC day that reached each step
    experiments: list[Variant]

    @classmethod
    def read(cls, directory: Path) -> "Truth":
        """The truth that stands beside the files of a simulation."""
        return cls.model_validate_json((directory / "truth.json").read_bytes())
