"""The simulated span of time, and clock arithmetic in milliseconds since 1970. Nothing random here."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@dataclass(frozen=True)
class Period:
    """Whole UTC days, from `first_day` on."""

    first_day: date
    days: int

    @cached_property
    def start(self) -> int:
        moment = datetime(self.first_day.year, self.first_day.month, self.first_day.day, tzinfo=UTC)
        return int(moment.timestamp()) * SECOND

    @property
    def end(self) -> int:
        return self.start + self.days * DAY

    def day_of(self, times: np.ndarray) -> np.ndarray:
        """The number of the UTC day of each time, from 0."""
        return (times - self.start) // DAY

    def date(self, day: int) -> date:
        return self.first_day + timedelta(days=int(day))

    def weekday(self, days: np.ndarray) -> np.ndarray:
        """0 is Monday. Days may lie outside the period."""
        return (self.first_day.weekday() + days) % 7

    def midnight(self, zone: str, day: int) -> int:
        """When the local day with this number begins in a time zone."""
        local = self.first_day + timedelta(days=day)
        return int(datetime(local.year, local.month, local.day, tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


def moment(time: int) -> datetime:
    return datetime.fromtimestamp(int(time) // SECOND, UTC) + timedelta(milliseconds=int(time) % SECOND)
