"""The marketplace: transactions between users and sellers, and what becomes of them."""

import numpy as np

from orchestration.simulate.period import DAY, HOUR, SECOND
from orchestration.simulate.sessions import Sessions
from orchestration.simulate.shop import CURRENCY
from orchestration.simulate.table import Money, Numbered, Table, Text, chosen, spread, strictly_increasing
from orchestration.simulate.world import World

_REASONS = ["card_declined", "expired", "fraud_suspected"]
_FEE_PERCENT = 8
_SPLITTING = np.array([2, 5])  # sellers who sell in parts, each below what has to be reported
_SPLITS, _PARTS = 3, 3
_LIMIT = 1_000_00  # cents


def transactions(rng: np.random.Generator, world: World, sessions: Sessions, visits: np.ndarray) -> list[Table]:
    """One transaction in each of these visits, numbered without gaps for its seller; a few sales are split."""
    at = sessions.clock[visits] + rng.integers(20 * SECOND, 4 * 60 * SECOND, len(visits))
    sessions.clock[visits] = at + SECOND
    seller = chosen(rng, world.sellers, len(visits))
    visits, at, seller, is_part = _split(visits, at, seller)
    order = np.lexsort((at, seller))
    seller, session, is_part = seller[order], visits[order], is_part[order]
    buyer, at = sessions.user[session], strictly_increasing(at[order], seller)
    count = len(at)
    sequence = spread(np.bincount(seller))[1] + 1
    number = np.empty(count, dtype=np.int64)
    number[np.argsort(at, kind="stable")] = np.arange(count)
    cents = (rng.lognormal(3.7, 0.7, count).clip(3, 890) * 100).astype(np.int64)
    cents[is_part] = _LIMIT * rng.integers(92, 100, is_part.sum()) // 100

    decided_at = at + (rng.lognormal(-0.3, 0.8, count).clip(0.05, 6) * DAY).astype(np.int64)
    is_failed = rng.random(count) < 0.04
    rated_at = decided_at + (rng.uniform(1, 40, count) * HOUR).astype(np.int64)
    is_rated = ~is_failed & (rng.random(count) < 0.25) & (rated_at < world.people.leaves[buyer])
    keeper = world.first_seller + seller
    known = {
        "transaction_id": Numbered("transaction-", number + 1, 7),
        "seller_id": Numbered("seller-", seller + 1, 4),
        "amount": Money(cents),
        "currency": Text(np.zeros(count, dtype=np.int8), [CURRENCY]),
    }
    rated = {name: known[name] for name in ("seller_id", "transaction_id")} | {"rating": rng.integers(3, 6, count)}
    failed = known | {"reason": Text(chosen(rng, np.array([6, 3, 1]), count), _REASONS)}
    created = known | {"fee": Money((cents * _FEE_PERCENT + 50) // 100), "sequence": sequence}
    return [
        Table("transaction_created", at, buyer, session, created),
        Table("transaction_settled", decided_at, keeper, None, known).rows(np.flatnonzero(~is_failed)),
        Table("transaction_failed", decided_at, keeper, None, failed).rows(np.flatnonzero(is_failed)),
        Table("seller_rated", rated_at, buyer, None, rated).rows(np.flatnonzero(is_rated)),
    ]


def _split(
    visits: np.ndarray, at: np.ndarray, seller: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Have a few visits, evenly over time, buy in parts from those who split; which transactions are such parts."""
    places = np.linspace(0.1, 0.9, len(_SPLITTING) * _SPLITS) * (len(visits) - 1)
    chosen_visits = np.unique(np.argsort(at, kind="stable")[places.astype(int)])
    rows = np.concatenate([np.arange(len(visits)), np.repeat(chosen_visits, _PARTS - 1)])
    part = np.concatenate([np.zeros(len(visits), dtype=int), np.tile(np.arange(1, _PARTS), len(chosen_visits))])
    seller = seller.copy()
    seller[chosen_visits] = np.resize(_SPLITTING, len(chosen_visits))
    return visits[rows], at[rows] + part * 30 * SECOND, seller[rows], np.isin(rows, chosen_visits)


def splitting(created: Table) -> np.ndarray:
    """The numbers, from 1, of the sellers who sold to somebody more than once just below the limit."""
    cents = created.properties["amount"].cents
    near = created.rows(np.flatnonzero((cents >= 0.9 * _LIMIT) & (cents < _LIMIT)))
    parties = np.column_stack([near.properties["seller_id"].numbers, near.user])
    pairs, sales = np.unique(parties, axis=0, return_counts=True)
    return np.unique(pairs[sales > 1, 0])
