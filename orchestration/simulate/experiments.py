"""The experiment on the checkout's button: who saw which of its variants, and what truly came of it."""

from decimal import Decimal

import numpy as np

from orchestration.simulate.period import DAY, Period
from orchestration.simulate.table import Table, Text
from orchestration.simulate.truth import Variant

NAME = "checkout_button"
VARIANTS = ["control", "green"]
_LIFT = 1.3  # how many times as many of those who see green order within the window
_WINDOW = 7 * DAY
_MIXED = 20  # one in so many sees both


def exposures(rng: np.random.Generator, period: Period, looks: Table, orders: Table) -> Table:
    """Everybody's first look at a product in the second half of the period shows them the button.

    What people do is decided elsewhere, so variants are dealt by it: to half of the people each, but more of those who
    order see green. For any reader of the events that is the same as a button that makes people order.
    """
    begin = period.start + period.days // 2 * DAY
    rows = np.flatnonzero(looks.time >= begin)
    _, first = np.unique(looks.user[rows], return_index=True)  # the earliest: looks are in order of time
    shown = looks.rows(rows[first])
    count = len(shown)
    is_buyer = _spent(shown, orders)[0] > 0
    rate = is_buyer.mean() if count else 0.0
    greens = 2 * _LIFT / (1 + _LIFT) * rate  # of those who see green, the share that orders
    chance = np.where(is_buyer, greens / max(2 * rate, 1e-9), (1 - greens) / max(2 * (1 - rate), 1e-9))
    variant = (rng.random(count) < chance).astype(np.int64)

    last = {user: row for row, user in enumerate(looks.user)}
    again = np.array([last[user] for user in shown.user[::_MIXED]], dtype=np.int64)
    mixed = looks.rows(again)
    return Table(
        "experiment_viewed",
        np.concatenate([shown.time, mixed.time + 1]),  # where the first look is the last, a moment later
        np.concatenate([shown.user, mixed.user]),
        np.concatenate([shown.session, mixed.session]),
        {
            "experiment_id": Text(np.zeros(count + len(again), dtype=np.int64), [NAME]),
            "variant_id": Text(np.concatenate([variant, 1 - variant[::_MIXED]]), VARIANTS),
        },
    )


def outcomes(seen: Table, orders: Table) -> list[Variant]:
    """Of each variant, whose first exposure it was, who saw another one later, who ordered within a week, for how much.

    Counted from the events; what is told of an order is its total.
    """
    order = np.lexsort((seen.time, seen.user))
    seen = seen.rows(order)
    people, first = np.unique(seen.user, return_index=True)
    variant = seen.properties["variant_id"].codes
    sights = np.zeros((len(people), len(VARIANTS)), dtype=bool)
    sights[np.searchsorted(people, seen.user), variant] = True
    times, cents = _spent(seen.rows(first), orders)
    return [
        Variant(
            experiment=NAME,
            variant=name,
            users=mine.sum(),
            mixed_users=sights.all(axis=1)[mine].sum(),
            converted_users=(times[mine] > 0).sum(),
            value=Decimal(int(cents[mine].sum())).scaleb(-2),
        )
        for number, name in enumerate(VARIANTS)
        for mine in [variant[first] == number]
    ]


def _spent(shown: Table, orders: Table) -> tuple[np.ndarray, np.ndarray]:
    """How often each of these people, of whom none is there twice, ordered within a week from then on; the cents."""
    order = np.argsort(shown.user)
    place = np.searchsorted(shown.user[order], orders.user).clip(max=max(len(shown) - 1, 0))
    times, cents = np.zeros(len(shown), dtype=np.int64), np.zeros(len(shown), dtype=np.int64)
    if len(shown):
        person = order[place]
        since = orders.time - shown.time[person]
        counted = (shown.user[person] == orders.user) & (since >= 0) & (since < _WINDOW)
        np.add.at(times, person[counted], 1)
        np.add.at(cents, person[counted], orders.properties["total"].cents[counted])
    return times, cents
