"""The shop: view, cart, checkout, order; refunds; prices, which demand follows; competitors; stock."""

from dataclasses import dataclass

import numpy as np

from orchestration.simulate import incidents
from orchestration.simulate.period import DAY, HOUR, MINUTE, SECOND, Period
from orchestration.simulate.sessions import Sessions
from orchestration.simulate.table import (
    Column,
    Lists,
    Money,
    Numbered,
    Table,
    Text,
    running,
    spread,
    strictly_increasing,
    take,
)
from orchestration.simulate.truth import Incident
from orchestration.simulate.world import COUNTRIES, NEVER, PRODUCT_CATEGORIES, World

CURRENCY = "EUR"
_VAT = np.array([19, 20, 7, 18, 17, 10])  # per cent, by country
_COMPETITORS = ["Northshop", "Bargainia", "Kiosk24"]
_RATES = {"GBP": 1.17, "USD": 0.92}  # in euros
_REASONS = ["counted", "order", "returned", "restocked"]
_FREE_SHIPPING, _SHIPPING = 50_00, 4_90
_CHECKS_OUT, _ORDERS = 0.88, 0.92
_NEGLECTED = slice(2, 12, 4)  # products that nobody restocks


@dataclass(frozen=True)
class Shop:
    """The shop's events, and what its stock came to."""

    tables: list[Table]
    orders: Table
    refunds: Table
    stock: Table


@dataclass(frozen=True)
class _Baskets:
    """Cart lines with their carts: line i is in cart `cart[i]`, and lines of a cart stand together."""

    cart: np.ndarray
    product: np.ndarray
    quantity: np.ndarray
    price: np.ndarray


def shop(
    rng: np.random.Generator,
    period: Period,
    world: World,
    planted: list[Incident],
    sessions: Sessions,
    visits: np.ndarray,
) -> Shop:
    """All events of the shop, within the period."""
    looks, adds, baskets, carts, ready_at = _browse(rng, world, sessions, visits)
    checkouts, orders = _buy(rng, world, planted, sessions, carts, baskets, ready_at)
    orders = orders.within(period)
    refunds = _refunds(rng, world, orders).within(period)
    stock = _stock(rng, period, world, orders, refunds).within(period)
    changes = [_price_changes(world), _competitors(rng, period, world)]
    return Shop([looks, adds, checkouts, orders, refunds, stock, *changes], orders, refunds, stock)


def order_lines(orders: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of every line: the row of its order, its product from 0, its quantity, its price in cents."""
    lines = orders.properties["products"]
    row, _ = spread(np.diff(lines.first))
    return row, lines.fields["product_id"].numbers - 1, lines.fields["quantity"], lines.fields["price"].cents


def _browse(
    rng: np.random.Generator, world: World, sessions: Sessions, visits: np.ndarray
) -> tuple[Table, Table, _Baskets, np.ndarray, np.ndarray]:
    """Views and carts. Taking a product depends on its price: appeal × (price / base price) ** elasticity."""
    products = world.products
    visit, product = _seen(rng, world, len(visits))
    session = visits[visit]
    count = len(session)
    look = rng.integers(8 * SECOND, 60 * SECOND, count)
    until = sessions.clock[session] + running(look, visit)
    viewed_at = until - look
    price = products.price(product, viewed_at)
    wish = products.appeal[product] * (price / products.base_price[product]) ** products.elasticity[product]
    taken = np.flatnonzero(rng.random(count) < wish)
    ready_at = until[np.flatnonzero(np.diff(visit, append=-1))]
    sessions.clock[visits] = ready_at + SECOND

    cart_visits, cart = np.unique(visit[taken], return_inverse=True)
    baskets = _Baskets(cart, product[taken], rng.geometric(0.82, len(taken)).clip(max=6), price[taken])
    looks = Table("product_viewed", viewed_at, sessions.user[session], session, _product(world, product, price))
    adds = Table(
        "product_added",
        viewed_at[taken] + look[taken] // 2,
        sessions.user[session[taken]],
        session[taken],
        _product(world, product[taken], price[taken])
        | {"quantity": baskets.quantity, "cart_id": Numbered("cart-", cart + 1, 7)},
    )
    return looks, adds, baskets, visits[cart_visits], ready_at[cart_visits]


def _seen(rng: np.random.Generator, world: World, visits: int) -> tuple[np.ndarray, np.ndarray]:
    """Visit and product of every look, each product once a visit."""
    visit, _ = spread(2 + rng.poisson(1.6, visits).clip(max=6))
    edges = np.cumsum(world.products.popularity)
    product = np.searchsorted(edges, rng.random(len(visit)) * edges[-1]).clip(max=len(edges) - 1)
    key = np.unique(visit * len(edges) + product)
    shuffled = key[np.lexsort((rng.random(len(key)), key // len(edges)))]
    return shuffled // len(edges), shuffled % len(edges)


def _buy(
    rng: np.random.Generator,
    world: World,
    planted: list[Incident],
    sessions: Sessions,
    carts: np.ndarray,
    baskets: _Baskets,
    ready_at: np.ndarray,
) -> tuple[Table, Table]:
    """Checkouts and orders. While the checkout is out, orders are not completed."""
    count = len(carts)
    user = sessions.user[carts]
    goods = np.bincount(baskets.cart, baskets.quantity * baskets.price, minlength=count).astype(np.int64)
    checked_at = ready_at + rng.integers(5 * SECOND, 40 * SECOND, count)
    ordered_at = checked_at + rng.integers(20 * SECOND, 3 * MINUTE, count)
    is_checkout = rng.random(count) < _CHECKS_OUT
    is_order = is_checkout & (rng.random(count) < _ORDERS) & ~incidents.during(planted, "checkout_outage", ordered_at)
    sessions.clock[carts] = np.where(is_checkout, ordered_at, ready_at) + SECOND

    out = np.flatnonzero(is_checkout)
    checkouts = Table(
        "checkout_started",
        checked_at[out],
        user[out],
        carts[out],
        {"cart_id": Numbered("cart-", out + 1, 7), "value": Money(goods[out]), "currency": _euro(len(out))},
    )

    discount = np.where(rng.random(count) < 0.2, goods // 10, 0)
    shipping = np.where(goods - discount >= _FREE_SHIPPING, 0, _SHIPPING)
    country = world.people.country[user]
    tax = ((goods - discount) * _VAT[country] + 50) // 100
    orders = Table(
        "order_completed",
        ordered_at,
        user,
        carts,
        {
            "order_id": Numbered("order-", np.cumsum(is_order), 7),
            "cart_id": Numbered("cart-", np.arange(count) + 1, 7),
            "currency": _euro(count),
            "total": Money(goods - discount + shipping + tax),
            "shipping": Money(shipping),
            "tax": Money(tax),
            "discount": Money(discount),
            "country": Text(country, COUNTRIES),
            "products": _lists(world, baskets, count),
        },
    )
    return checkouts, orders.rows(np.flatnonzero(is_order))


def _refunds(rng: np.random.Generator, world: World, orders: Table) -> Table:
    """One order in twenty-five is sent back whole, within two weeks, by people who are still users."""
    at = orders.time + (rng.lognormal(1.2, 0.6, len(orders)).clip(0.5, 14) * DAY).astype(np.int64)
    back = np.flatnonzero((rng.random(len(orders)) < 0.04) & (at < world.people.leaves[orders.user]))
    properties = {name: take(column, back) for name, column in orders.properties.items()}
    refunded = properties["total"].cents - properties["shipping"].cents
    kept = {name: properties[name] for name in ("order_id", "currency", "tax", "discount", "products")}
    return Table("order_refunded", at[back], orders.user[back], None, kept | {"total": Money(refunded)})


def _stock(rng: np.random.Generator, period: Period, world: World, orders: Table, refunds: Table) -> Table:
    """Every change of stock with the quantity after it.

    A product is restocked at 05:00 UTC when it began the day below a level no day's sales have reached, so none runs
    out, but for those that nobody restocks: of them, less was there than was ordered.
    """
    count = len(world.products)
    row, product, quantity, _ = order_lines(orders)
    back_row, back_product, back_quantity, _ = order_lines(refunds)
    sold_at, back_at = orders.time[row], refunds.time[back_row]
    sold = _per_day(period, count, sold_at, product, quantity)
    returned = _per_day(period, count, back_at, back_product, back_quantity)
    level = 2 * sold.max(axis=0) + 5
    target = level + 10 * np.ceil(sold.mean(axis=0)).astype(np.int64) + 10
    is_neglected = np.zeros(count, dtype=bool)
    is_neglected[_NEGLECTED] = True
    initial = np.where(is_neglected, sold.sum(axis=0) * 3 // 5, target)

    restocked = np.zeros_like(sold)
    left = initial.copy()
    for day in range(period.days):
        restocked[day] = np.where((left < level) & ~is_neglected, target - left, 0)
        left += restocked[day] + returned[day] - sold[day]
    days, supplied = np.nonzero(restocked)

    everything = np.arange(count)
    who = np.full(count, world.stock_clerk)
    changes = [  # time, user, product, change, reason
        (period.start + everything, who, everything, initial, 0),
        (sold_at, orders.user[row], product, -quantity, 1),
        (back_at, refunds.user[back_row], back_product, back_quantity, 2),
        (
            period.start + days * DAY + 5 * HOUR + supplied * SECOND,
            who[supplied],
            supplied,
            restocked[days, supplied],
            3,
        ),
    ]
    time, user, product, change = (np.concatenate([part[column] for part in changes]) for column in range(4))
    reason = np.repeat([part[4] for part in changes], [len(part[0]) for part in changes])
    order = np.lexsort((time, product))
    product = product[order]
    return Table(
        "stock_changed",
        strictly_increasing(time[order], product),
        user[order],
        None,
        {
            "product_id": product_id(product),
            "quantity": running(change[order], product),
            "reason": Text(reason[order], _REASONS),
        },
    )


def _per_day(period: Period, products: int, times: np.ndarray, product: np.ndarray, quantity: np.ndarray) -> np.ndarray:
    """Units by day and product."""
    cell = period.day_of(times) * products + product
    return np.bincount(cell, quantity, minlength=period.days * products).astype(np.int64).reshape(period.days, products)


def _price_changes(world: World) -> Table:
    products = world.products
    product, step = np.nonzero(products.changes < NEVER)
    properties = _product(world, product, products.prices[product, step + 1])
    return Table(
        "price_changed",
        products.changes[product, step],
        np.full(len(product), world.pricing_clerk),
        None,
        properties | {"previous_price": Money(products.prices[product, step])},
    )


def _competitors(rng: np.random.Generator, period: Period, world: World) -> Table:
    """Each product is looked up once a day at one competitor, who keeps a distance of its own from the base price."""
    count = len(world.products)
    product, day = np.tile(np.arange(count), period.days), np.repeat(np.arange(period.days), count)
    competitor = (product + day) % len(_COMPETITORS)
    distance = np.array([0.97, 0.9, 1.08])[competitor]
    price = np.rint(world.products.base_price[product] * distance * rng.lognormal(0, 0.03, len(product)))
    return Table(
        "competitor_price_observed",
        period.start + day * DAY + 3 * HOUR + rng.integers(0, 20 * MINUTE, len(product)),
        np.full(len(product), world.pricing_clerk),
        None,
        {
            "product_id": product_id(product),
            "competitor": Text(competitor, _COMPETITORS),
            "price": Money(price.astype(np.int64)),
            "currency": _euro(len(product)),
        },
    )


def exchange_rates(period: Period, world: World) -> Table:
    """What foreign currencies are worth, each day at 15:00 UTC; it swings by two per cent within a month."""
    currencies = list(_RATES)
    day, currency = np.divmod(np.arange(period.days * len(currencies)), len(currencies))
    swing = 1 + 0.02 * np.sin(2 * np.pi * day / 30 + currency)
    return Table(
        "exchange_rate_published",
        period.start + day * DAY + 15 * HOUR + currency * SECOND,
        np.full(len(day), world.pricing_clerk),
        None,
        {
            "currency": Text(currency, currencies),
            "base_currency": _euro(len(day)),
            "rate": np.round(np.array(list(_RATES.values()))[currency] * swing, 4),
        },
    )


def _product(world: World, product: np.ndarray, price: np.ndarray) -> dict[str, Column]:
    """The properties that most events about a product have."""
    return {
        "product_id": product_id(product),
        "category": Text(world.products.category[product], PRODUCT_CATEGORIES),
        "price": Money(price),
        "currency": _euro(len(product)),
    }


def _lists(world: World, baskets: _Baskets, carts: int) -> Lists:
    counts = np.bincount(baskets.cart, minlength=carts)
    fields = _product(world, baskets.product, baskets.price)
    del fields["currency"]
    return Lists(np.concatenate([[0], np.cumsum(counts)]), fields | {"quantity": baskets.quantity})


def product_id(product: np.ndarray) -> Numbered:
    """The identifiers of products numbered from 0."""
    return Numbered("product-", product + 1, 4)


def _euro(count: int) -> Text:
    return Text(np.zeros(count, dtype=np.int8), [CURRENCY])
