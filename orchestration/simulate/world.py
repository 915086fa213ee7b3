"""Who and what there is: people, content, products, sellers. What happens to them is decided by the systems."""

from dataclasses import dataclass

import numpy as np

from orchestration.simulate.incidents import VIRAL_CATEGORY
from orchestration.simulate.period import DAY, HOUR, Period
from orchestration.simulate.table import chosen, zipf

COUNTRIES = ["DE", "GB", "US", "IN", "BR", "JP"]
ZONES = ["Europe/Berlin", "Europe/London", "America/New_York", "Asia/Kolkata", "America/Sao_Paulo", "Asia/Tokyo"]
_COUNTRY_SHARES = np.array([0.34, 0.20, 0.20, 0.14, 0.07, 0.05])
CATEGORIES = ["science", "history", "languages", "music", "programming", "art", "business", "nature"]
SKILLS = ["vocabulary", "grammar", "listening", "writing", "algebra", "statistics", "coding", "drawing"]
PRODUCT_CATEGORIES = ["books", "stationery", "electronics", "games", "home"]
NEVER = np.iinfo(np.int64).max
FADING = 28 * DAY


@dataclass(frozen=True)
class People:
    """The users, numbered from 0. Nobody does anything before `joins` or from `leaves` on."""

    country: np.ndarray
    joins: np.ndarray
    leaves: np.ndarray
    is_gradual: np.ndarray  # loses interest over weeks before leaving, instead of stopping at once
    activity: np.ndarray  # sessions relative to the average
    ability: np.ndarray  # the score of a first lesson of medium difficulty
    is_struggling: np.ndarray
    taste: np.ndarray  # the favourite category
    is_mobile: np.ndarray

    def __len__(self) -> int:
        return len(self.country)

    def interest(self, users: np.ndarray, times: np.ndarray) -> np.ndarray:
        """1, falling to 0 over the last weeks of those who leave gradually."""
        return np.where(self.is_gradual[users], (self.leaves[users] - times) / FADING, 1.0).clip(0, 1)

    def is_present(self, users: np.ndarray, times: np.ndarray) -> np.ndarray:
        return (self.joins[users] <= times) & (times < self.leaves[users])


@dataclass(frozen=True)
class Content:
    """The items to see, numbered from 0, most popular first."""

    category: np.ndarray
    kind: np.ndarray
    popularity: np.ndarray
    quality: np.ndarray  # 0..1
    seconds: np.ndarray
    titles: list[str]
    viral: int


@dataclass(frozen=True)
class Products:
    """What the shop sells, most seen first. A price holds from its time in `changes` on; before the first, the base."""

    category: np.ndarray
    base_price: np.ndarray  # cents
    popularity: np.ndarray
    appeal: np.ndarray  # the share of viewers who take it at its base price
    elasticity: np.ndarray
    changes: np.ndarray  # times, one row a product; NEVER where there are fewer
    prices: np.ndarray  # cents, one more per row than changes

    def __len__(self) -> int:
        return len(self.category)

    def price(self, products: np.ndarray, times: np.ndarray) -> np.ndarray:
        """The price of each product at each time, in cents."""
        step = np.zeros(len(products), dtype=np.int64)
        for change in self.changes.T:
            step += times >= change[products]
        return self.prices[products, step]


@dataclass(frozen=True)
class World:
    """Everything there is. Staff and sellers are users with the numbers after those of the people."""

    people: People
    content: Content
    products: Products
    sellers: np.ndarray  # popularity

    @property
    def pricing_clerk(self) -> int:
        return len(self.people)

    @property
    def stock_clerk(self) -> int:
        return len(self.people) + 1

    @property
    def first_seller(self) -> int:
        return len(self.people) + 2

    @property
    def users(self) -> int:
        return self.first_seller + len(self.sellers)


def create(rng: np.random.Generator, period: Period, events: int) -> World:
    """A world whose size fits so many events in this period."""
    return World(
        people=_people(rng, period, max(60, round(0.36 * events / period.days))),
        content=_content(rng, int(np.clip(events // 1000, 60, 2000))),
        products=_products(rng, period, int(np.clip(events**0.5 / 18, 15, 300))),
        sellers=zipf(int(np.clip(events**0.5 / 25, 8, 200)), 0.8),
    )


def _people(rng: np.random.Generator, period: Period, count: int) -> People:
    """Three in five were there before; the others sign up throughout. About a third leave for good."""
    span = period.end - period.start
    joins = period.start + (rng.uniform(-1.5, 1, count) * span).astype(np.int64)
    joins = np.where(joins < period.start, period.start - DAY, joins)
    is_struggling = rng.random(count) < 0.08
    activity = rng.gamma(2, 1 / 2, count).clip(0.15, 4)
    risk = 0.26 + 0.2 * (activity < 0.6) + 0.4 * is_struggling
    settled = np.maximum(joins, period.start) + span // 12
    leaves = settled + (rng.random(count) * (period.end - settled)).astype(np.int64)
    is_leaving = (rng.random(count) < risk) & (settled < period.end - span // 12)
    return People(
        country=chosen(rng, _COUNTRY_SHARES, count),
        joins=joins,
        leaves=np.where(is_leaving, leaves, NEVER),
        is_gradual=is_leaving & (rng.random(count) < 0.8),
        activity=np.where(is_leaving, activity, activity.clip(min=0.35)),
        ability=np.where(is_struggling, rng.normal(42, 4, count), rng.normal(74, 6, count).clip(65, 92)),
        is_struggling=is_struggling,
        taste=chosen(rng, zipf(len(CATEGORIES), 0.4), count),
        is_mobile=rng.random(count) < 0.7,
    )


def _content(rng: np.random.Generator, count: int) -> Content:
    category = rng.integers(0, len(CATEGORIES), count, dtype=np.int32)
    category[: len(CATEGORIES)] = rng.permutation(len(CATEGORIES))  # none is empty
    first_words = ["A short history of", "Questions about", "The joy of", "Ten steps into", "Understanding", "Inside"]
    openings = rng.integers(0, len(first_words), count)
    titles = [
        f"{first_words[opening]} {CATEGORIES[code]}, part {number + 1}"
        for number, (opening, code) in enumerate(zip(openings, category, strict=True))
    ]
    return Content(
        category=category,
        kind=rng.integers(0, 4, count, dtype=np.int32),
        popularity=zipf(count, 0.9),
        quality=rng.beta(5, 3, count),
        seconds=rng.lognormal(5.7, 0.5, count).clip(60, 1200),
        titles=titles,
        viral=int(np.flatnonzero(category == CATEGORIES.index(VIRAL_CATEGORY))[-1]),  # nobody knew it before
    )


def _products(rng: np.random.Generator, period: Period, count: int) -> Products:
    """Four in five products change their price about every twelve days, by up to a third and at random."""
    base_price = (rng.lognormal(3.1, 0.35, count).clip(8, 90) * 100).astype(np.int64) // 100 * 100 - 1
    steps = max(2, period.days // 12)
    days = np.sort(rng.random((count, steps)), axis=1) * (period.days - 1)
    changes = period.start + days.astype(np.int64) * DAY + 5 * HOUR + rng.integers(0, HOUR, (count, steps))
    changes[rng.random(count) < 0.2] = NEVER
    factors = np.exp(rng.uniform(np.log(0.75), np.log(1.33), (count, steps)))
    changed = np.rint(base_price[:, None] * factors).astype(np.int64)
    return Products(
        category=rng.integers(0, len(PRODUCT_CATEGORIES), count, dtype=np.int32),
        base_price=base_price,
        popularity=zipf(count, 0.5),
        appeal=rng.uniform(0.2, 0.4, count),
        elasticity=-rng.uniform(0.4, 2.8, count),
        changes=np.sort(changes, axis=1),
        prices=np.column_stack([base_price, changed]),
    )
