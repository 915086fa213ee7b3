"""Events of one type, column by column, and the array arithmetic that the systems share. Nothing is decided here."""

from dataclasses import dataclass

import numpy as np

from orchestration.simulate.period import Period


@dataclass(frozen=True)
class Text:
    """Strings out of a small vocabulary."""

    codes: np.ndarray
    names: list[str]


@dataclass(frozen=True)
class Numbered:
    """Identifiers such as `user-000123`."""

    prefix: str
    numbers: np.ndarray
    width: int


@dataclass(frozen=True)
class Money:
    """Amounts in cents, written in major units."""

    cents: np.ndarray


@dataclass(frozen=True)
class Lists:
    """A list of objects per row: row i holds the fields' entries from first[i] up to first[i + 1]."""

    first: np.ndarray
    fields: "dict[str, Column]"


Column = np.ndarray | Text | Numbered | Money | Lists


def take(column: Column, rows: np.ndarray | slice) -> Column:
    """Some rows of a column."""
    match column:
        case Text(codes, names):
            return Text(codes[rows], names)
        case Numbered(prefix, numbers, width):
            return Numbered(prefix, numbers[rows], width)
        case Money(cents):
            return Money(cents[rows])
        case Lists(first, fields):
            begin, counts = first[:-1][rows], np.diff(first)[rows]
            parent, position = spread(counts)
            inner = begin[parent] + position
            return Lists(
                np.concatenate([[0], np.cumsum(counts)]),
                {name: take(field, inner) for name, field in fields.items()},
            )
        case _:
            return column[rows]


@dataclass(frozen=True)
class Table:
    """Events of one type. `time` is in milliseconds; `user` and `session` are numbers; a session may be absent."""

    event_type: str
    time: np.ndarray
    user: np.ndarray
    session: np.ndarray | None
    properties: dict[str, Column]

    def __len__(self) -> int:
        return len(self.time)

    def rows(self, rows: np.ndarray | slice) -> "Table":
        return Table(
            self.event_type,
            self.time[rows],
            self.user[rows],
            None if self.session is None else self.session[rows],
            {name: take(column, rows) for name, column in self.properties.items()},
        )

    def within(self, period: Period) -> "Table":
        """The events that lie in the period, in order of time."""
        order = np.argsort(self.time, kind="stable")
        times = self.time[order]
        low, high = np.searchsorted(times, [period.start, period.end])
        return self.rows(order[low:high])


def spread(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For groups of these sizes laid end to end: each member's group, and its position in the group from 0."""
    first = np.cumsum(counts) - counts
    return np.repeat(np.arange(len(counts)), counts), np.arange(counts.sum()) - np.repeat(first, counts)


def running(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Cumulative sums within groups, which stand together."""
    total = np.cumsum(values)
    begins = np.flatnonzero(np.diff(group, prepend=-1))
    before = total[begins] - values[begins]
    return total - np.repeat(before, np.diff(begins, append=len(values)))


def strictly_increasing(times: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Push ties within a group a millisecond apart. Groups stand together, ascending, each in order of time."""
    rank = np.arange(len(times))
    base = group.astype(np.int64) << 44  # above any time in milliseconds before the year 2500
    return np.maximum.accumulate(base + times - rank) + rank - base


def chosen(rng: np.random.Generator, weights: np.ndarray, size: int) -> np.ndarray:
    """Indices drawn in proportion to their weights."""
    edges = np.cumsum(weights)
    return (
        np.searchsorted(edges, rng.random(size) * edges[-1], side="right").clip(max=len(weights) - 1).astype(np.int32)
    )


def zipf(count: int, exponent: float) -> np.ndarray:
    """Shares of the ranks 1 to `count`, by Zipf's law."""
    weights = 1 / np.arange(1, count + 1) ** exponent
    return weights / weights.sum()
