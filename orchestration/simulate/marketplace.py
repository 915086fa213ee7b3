"""The marketplace: transactions between users and sellers, and what becomes of them."""

import numpy as np

from orchestration.simulate.period import DAY, HOUR, SECOND
from orchestration.simulate.sessions import Sessions
from orchestration.simulate.shop import CURRENCY
from orchestration.simulate.table import Money, Numbered, Table, Text, chosen, spread, strictly_increasing
from orchestration.simulate.world import World

_REASONS = ["card_declined", "expired", "fraud_suspected"]
_FEE_PERCENT = 8


def transactions(rng: np.random.Generator, world: World, sessions: Sessions, visits: np.ndarray) -> list[Table]:
    """One transaction in each of these visits, numbered without gaps for its seller."""
    at = sessions.clock[visits] + rng.integers(20 * SECOND, 4 * 60 * SECOND, len(visits))
    sessions.clock[visits] = at + SECOND
    seller = chosen(rng, world.sellers, len(visits))
    order = np.lexsort((at, seller))
    seller, session = seller[order], visits[order]
    buyer, at = sessions.user[session], strictly_increasing(at[order], seller)
    count = len(at)
    sequence = spread(np.bincount(seller))[1] + 1
    number = np.empty(count, dtype=np.int64)
    number[np.argsort(at, kind="stable")] = np.arange(count)
    cents = (rng.lognormal(3.7, 0.7, count).clip(3, 900) * 100).astype(np.int64)

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
