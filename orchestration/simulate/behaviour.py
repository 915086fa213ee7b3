"""What people did over time, counted from the events alone: who comes back, and which steps follow each other."""

from datetime import timedelta

import numpy as np

from orchestration.simulate.period import DAY, Period
from orchestration.simulate.table import Table
from orchestration.simulate.truth import Cohort

# what machines and clerks tell, and what is only shown to people
_NO_ACTIVITY = {
    "request_served", "price_changed", "competitor_price_observed", "stock_changed", "transaction_settled",
    "transaction_failed", "exchange_rate_published", "experiment_viewed",
}  # fmt: skip
_FUNNELS = {
    "content": (DAY, ["content_viewed", "content_started", "content_completed"]),
    "purchase": (7 * DAY, ["product_viewed", "product_added", "checkout_started", "order_completed"]),
}
_USER = 44  # bits to shift a user by, so that times in milliseconds before the year 2500 fit below
_TIME = (1 << _USER) - 1


def cohorts(period: Period, tables: list[Table]) -> list[Cohort]:
    """Who first came in each week from Monday, in UTC, and how many of them came in it and in each later one."""
    active = [table for table in tables if table.event_type not in _NO_ACTIVITY]
    before = int(period.weekday(np.array(0)))  # days of the first week that lie before the period
    user = np.concatenate([table.user for table in active])
    week = (period.day_of(np.concatenate([table.time for table in active])) + before) // 7
    came = np.unique(np.column_stack([user, week]), axis=0)
    _, first, person = np.unique(came[:, 0], return_index=True, return_inverse=True)
    cohort = came[first, 1][person]
    counts = np.zeros((week.max() + 1, week.max() + 1), dtype=np.int64)
    np.add.at(counts, (cohort, came[:, 1]), 1)
    return [
        Cohort(week=period.first_day + timedelta(days=7 * number - before), users=counts[number, number:].tolist())
        for number in range(len(counts))
        if counts[number, number]
    ]


def funnels(period: Period, tables: list[Table]) -> dict[str, list[int]]:
    """How many entries reached each step of the funnels. People enter once a UTC day, with their first event of it.

    A step counts when it is not before the one that it follows, and within the funnel's time of the entry.
    """
    by_type = {table.event_type: table for table in tables}
    return {
        name: _reached(period, [by_type[step] for step in steps], within) for name, (within, steps) in _FUNNELS.items()
    }


def _reached(period: Period, steps: list[Table], within: int) -> list[int]:
    begin = _moments(steps[0])
    entered = begin[np.unique(begin >> _USER << _USER | period.day_of(begin & _TIME), return_index=True)[1]]
    at, counts = entered, [len(entered)]
    for table in steps[1:]:
        moments = np.append(_moments(table), np.iinfo(np.int64).max)
        following = moments[np.searchsorted(moments, at)]
        is_reached = following <= entered + within  # somebody else's is further away than any time
        entered, at = entered[is_reached], following[is_reached]
        counts.append(len(at))
    return counts


def _moments(table: Table) -> np.ndarray:
    """User and time of every event as one number, in order."""
    return np.sort(table.user.astype(np.int64) << _USER | table.time)
