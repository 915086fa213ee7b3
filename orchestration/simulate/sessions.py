"""Who comes when: daily and weekly rhythm in each person's own time zone, growth, and people who stop coming."""

from dataclasses import dataclass

import numpy as np

from orchestration.simulate import incidents
from orchestration.simulate.period import DAY, HOUR, SECOND, Period
from orchestration.simulate.table import chosen
from orchestration.simulate.truth import Incident
from orchestration.simulate.world import ZONES, World

_WEEKDAYS = np.array([1.02, 1.0, 1.02, 0.98, 0.90, 0.92, 1.08])
_HOURS = np.array(
    [3, 2, 1, 1, 1, 2, 6, 12, 16, 18, 20, 22, 24, 22, 20, 20, 22, 26, 32, 38, 40, 34, 20, 9], dtype=float
)  # share of the sessions by local hour


@dataclass
class Sessions:
    """Visits, numbered from 0. `clock` is when each is free for its next action; the systems move it on."""

    start: np.ndarray
    user: np.ndarray
    is_viral: np.ndarray  # came for the viral item only
    clock: np.ndarray

    def __len__(self) -> int:
        return len(self.start)

    def join(self, start: np.ndarray, user: np.ndarray) -> np.ndarray:
        """Add visits and return their numbers."""
        first = len(self)
        self.start = np.concatenate([self.start, start])
        self.clock = np.concatenate([self.clock, start])
        self.user = np.concatenate([self.user, user])
        self.is_viral = np.concatenate([self.is_viral, np.zeros(len(start), dtype=bool)])
        return np.arange(first, len(self))


def create(rng: np.random.Generator, period: Period, world: World, planted: list[Incident], count: float) -> Sessions:
    """About `count` visits, and those that a viral item adds."""
    rates = _rates(period, world)
    user, start = _arrivals(rng, period, world, rates * (count / rates[:, 1:-1].sum()))
    lost = incidents.during(planted, "login_outage", start) & (rng.random(len(start)) < 11 / 12)
    user, start = user[~lost], start[~lost]

    shared = incidents.during(planted, "viral_content", start)
    extra = np.repeat(start[shared], 3) + rng.integers(-HOUR // 2, HOUR // 2, 3 * shared.sum())
    extra = extra[incidents.during(planted, "viral_content", extra)]
    guests = rng.integers(0, len(world.people), len(extra), dtype=np.int32)
    here = world.people.is_present(guests, extra)

    start = np.concatenate([start, extra[here]])
    user = np.concatenate([user, guests[here]])
    is_viral = np.arange(len(start)) >= len(start) - here.sum()
    order = np.argsort(start, kind="stable")
    return Sessions(start[order], user[order], is_viral[order], start[order])


def _rates(period: Period, world: World) -> np.ndarray:
    """Sessions per person and local day, up to a factor. The first and last column are the days beside the period."""
    people = world.people
    days = np.arange(-1, period.days + 1)
    noon = period.start + days * DAY + DAY // 2
    remaining = (people.leaves[:, None] - noon).astype(np.float32)
    rates = people.activity[:, None].astype(np.float32) * _WEEKDAYS[period.weekday(days)].astype(np.float32)
    rates *= (people.joins[:, None] < noon + DAY // 2) & (remaining > -DAY / 2)
    rates *= people.interest(np.arange(len(people))[:, None], noon).clip(min=0.06)
    return rates


def _arrivals(
    rng: np.random.Generator, period: Period, world: World, rates: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Users and times of visits, within the period and their time as users."""
    counts = rng.poisson(rates)
    user, day = np.nonzero(counts)
    repeats = counts[user, day]
    user, day = np.repeat(user, repeats).astype(np.int32), np.repeat(day, repeats)
    midnights = np.array([[period.midnight(zone, number - 1) for number in range(period.days + 2)] for zone in ZONES])
    local = chosen(rng, _HOURS, len(user)).astype(np.int64) * HOUR + rng.integers(0, HOUR, len(user))
    start = midnights[world.people.country[user], day] + local
    kept = (start >= period.start) & (start < period.end - SECOND) & world.people.is_present(user, start)
    return user[kept], start[kept]
