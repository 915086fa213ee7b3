"""The simulation of the five systems from a seed: who lives through what, in which order, and the truth about it."""

import os
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np

from orchestration.errors import TidemarkError
from orchestration.simulate import (
    behaviour,
    engagement,
    experiments,
    learning,
    marketplace,
    rooms,
    sessions,
    shop,
    system,
    world,
    writer,
)  # fmt: skip
from orchestration.simulate.incidents import LEAST_DAYS, plan
from orchestration.simulate.period import Period, moment
from orchestration.simulate.sessions import Sessions
from orchestration.simulate.shop import Shop
from orchestration.simulate.table import Numbered, Table
from orchestration.simulate.truth import Churner, DayTotals, Incident, Oversold, Price, Product, Truth
from orchestration.simulate.world import NEVER, PRODUCT_CATEGORIES, World

_ACTIONS_PER_VISIT = 7.9  # measured
_ACTIONS_SHARE = 0.66  # of all events; the others are requests
_LEAST_EVENTS, _LEAST_PER_DAY = 2_000, 60
_ROOM, _CONTENT, _LEARNING, _MARKET = 0.03, 0.42, 0.38, 0.11  # shares of the visits
_SHOPPING = np.array([0.44, 0.42, 0.42, 0.47, 0.56, 0.78, 0.72])  # the same, by weekday


def simulate(
    directory: Path,
    *,
    start: date,
    days: int = 90,
    events: int = 200_000,
    seed: int = 1,
    late_rate: float = 0.02,
    duplicate_rate: float = 0.01,
    broken_rate: float = 0.001,
    incidents: bool = True,
) -> Truth:
    """Write `days` files of native JSON Lines, one a UTC day of arrival, and `truth.json`, into `directory`.

    `events` is the number of distinct valid events; all occur from `start` on and before the end of the last day.
    Late ones arrive a day or more after they occurred, by the end of the last day at the latest; duplicates are exact
    repeats, broken records come on top. Rates are fractions of `events`. The same arguments give the same bytes.
    Raises TidemarkError for a period or a number of events too small to hold the five systems.
    """
    _check(days, events, seed, incidents)
    period = Period(start, days)
    planted = plan(period) if incidents else []
    people_rng, visits_rng, *systems_rng, files_rng, dealing_rng = np.random.default_rng(seed).spawn(10)
    planet = world.create(people_rng, period, events)
    tables, sales = _live(visits_rng, [*systems_rng, dealing_rng], period, planet, planted, events)

    directory.mkdir(parents=True, exist_ok=True)
    delivery = writer.write(
        directory,
        period,
        tables,
        files_rng,
        prefix=f"{start:%Y%m%d}-{seed}-",
        late_rate=late_rate,
        duplicate_rate=duplicate_rate,
        broken_rate=broken_rate,
    )
    truth = Truth(
        seed=seed,
        start=moment(period.start),
        end=moment(period.end),
        currency=shop.CURRENCY,
        users=planet.users,
        events={table.event_type: len(table) for table in tables},
        lines=sum(file.lines for file in delivery.files),
        late=delivery.late,
        duplicates=delivery.duplicates,
        broken=delivery.broken,
        files=delivery.files,
        days=_totals(period, sales),
        incidents=planted,
        churners=_churners(planet, tables),
        products=_products(planet, period),
        oversold_products=_oversold(sales.stock),
        struggling_learners=_names(writer.user_id(learning.struggling(_only(tables, "lesson_completed")))),
        split_sellers=_names(Numbered("seller-", marketplace.splitting(_only(tables, "transaction_created")), 4)),
        abandoned_rooms=_names(_only(tables, "room_abandoned").properties["room_id"]),
        cohorts=behaviour.cohorts(period, tables),
        funnels=behaviour.funnels(period, tables),
        experiments=experiments.outcomes(_only(tables, "experiment_viewed"), sales.orders),
    )
    partial = directory / ".truth.partial"
    partial.write_text(truth.model_dump_json(indent=2) + "\n")
    os.replace(partial, directory / "truth.json")
    return truth


def _check(days: int, events: int, seed: int, incidents: bool) -> None:
    if days < 1 or (incidents and days < LEAST_DAYS):
        raise TidemarkError(
            f"{days} days are too few to simulate: ask for {LEAST_DAYS} or more, or for one or more without incidents."
        )
    if events < (least := max(_LEAST_EVENTS, _LEAST_PER_DAY * days)):
        raise TidemarkError(f"{events} events are too few for {days} days of five systems: ask for {least} or more.")
    if seed < 0:
        raise TidemarkError(f"The seed {seed} is negative: choose 0 or more.")


def _live(
    visits_rng: np.random.Generator,
    systems_rng: list[np.random.Generator],
    period: Period,
    planet: World,
    planted: list[Incident],
    events: int,
) -> tuple[list[Table], Shop]:
    """All events, one table a type, each in order of time within the period; and the shop's among them."""
    content_rng, lessons_rng, rooms_rng, shop_rng, market_rng, system_rng, dealing_rng = systems_rng
    background = len(planet.products) * period.days  # prices looked up
    wanted = (_ACTIONS_SHARE * events - background) / _ACTIONS_PER_VISIT
    visits = sessions.create(visits_rng, period, planet, planted, wanted)
    intends = _intentions(visits_rng, period, visits)

    tables = rooms.rooms(rooms_rng, planet, visits, intends["room"])  # first: members' visits join the others
    tables += engagement.pages(content_rng, planet, visits)
    tables += engagement.content(content_rng, planet, visits, intends["content"])
    tables += learning.lessons(lessons_rng, planet, visits, intends["learning"])
    sales = shop.shop(shop_rng, period, planet, planted, visits, intends["shop"])
    tables += sales.tables
    tables += marketplace.transactions(market_rng, planet, visits, intends["market"])
    tables.append(shop.exchange_rates(period, planet))
    tables = [table.within(period) for table in tables]
    missing = events - sum(len(table) for table in tables)
    served = system.requests(system_rng, planted, tables, max(missing, 0)).within(period)
    shown = experiments.exposures(dealing_rng, period, _only(tables, "product_viewed"), sales.orders).within(period)
    kept = np.delete(np.arange(len(served)), np.linspace(0, len(served) - 1, len(shown)).astype(int))
    return [*tables, shown, served.rows(kept)], sales  # requests make room, evenly


def _intentions(rng: np.random.Generator, period: Period, visits: Sessions) -> dict[str, np.ndarray]:
    """Which visits are for what: a room is all one does in a visit, the other systems mix."""
    room, content, learn, buy, trade = rng.random((5, len(visits)))
    has_room = (room < _ROOM) & ~visits.is_viral
    is_free = ~has_room & ~visits.is_viral
    shopping = _SHOPPING[period.weekday(period.day_of(visits.start))]
    return {
        "room": np.flatnonzero(has_room),
        "content": np.flatnonzero(visits.is_viral | (is_free & (content < _CONTENT))),
        "learning": np.flatnonzero(is_free & (learn < _LEARNING)),
        "shop": np.flatnonzero(is_free & (buy < shopping)),
        "market": np.flatnonzero(is_free & (trade < _MARKET)),
    }


def _only(tables: list[Table], event_type: str) -> Table:
    return next(table for table in tables if table.event_type == event_type)


def _names(identifiers: Numbered) -> list[str]:
    return sorted(f"{identifiers.prefix}{number:0{identifiers.width}d}" for number in identifiers.numbers)


def _euros(cents: int) -> Decimal:
    return Decimal(int(cents)).scaleb(-2)


def _totals(period: Period, sales: Shop) -> list[DayTotals]:
    """Counted in whole cents."""
    orders = np.bincount(period.day_of(sales.orders.time), minlength=period.days)
    sold, refunded = (_goods_by_day(period, table) for table in (sales.orders, sales.refunds))
    return [
        DayTotals(
            date=period.date(day),
            orders=orders[day],
            revenue=_euros(sold[day] - refunded[day]),
            refunded=_euros(refunded[day]),
        )
        for day in range(period.days)
    ]


def _goods_by_day(period: Period, table: Table) -> np.ndarray:
    row, _, quantity, price = shop.order_lines(table)
    cents = np.zeros(period.days, dtype=np.int64)
    np.add.at(cents, period.day_of(table.time)[row], quantity * price)
    return cents


def _churners(planet: World, tables: list[Table]) -> list[Churner]:
    """Those who left and were ever seen; they left with their last event."""
    seen = np.zeros(planet.users, dtype=np.int64)
    for table in tables:
        np.maximum.at(seen, table.user, table.time)
    people = planet.people
    left = np.flatnonzero((people.leaves < NEVER) & (seen[: len(people)] > 0))
    return [
        Churner(user_id=name, left_at=moment(seen[user]), is_gradual=people.is_gradual[user])
        for user, name in zip(left, _names(writer.user_id(left)), strict=True)
    ]


def _products(planet: World, period: Period) -> list[Product]:
    products = planet.products
    return [
        Product(
            product_id=name,
            category=PRODUCT_CATEGORIES[products.category[number]],
            base_price=_euros(products.base_price[number]),
            elasticity=products.elasticity[number],
            prices=[
                Price(since=moment(since), price=_euros(price))
                for since, price in zip([period.start, *products.changes[number]], products.prices[number], strict=True)
                if since < NEVER
            ],
        )
        for number, name in enumerate(_names(shop.product_id(np.arange(len(products)))))
    ]


def _oversold(stock: Table) -> list[Oversold]:
    below = stock.rows(np.flatnonzero(stock.properties["quantity"] < 0))  # in order of time
    product = below.properties["product_id"]
    numbers, first = np.unique(product.numbers, return_index=True)
    return [
        Oversold(product_id=name, since=moment(below.time[row]))
        for name, row in zip(_names(Numbered(product.prefix, numbers, product.width)), first, strict=True)
    ]
