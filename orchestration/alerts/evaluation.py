"""Walks over the hours of a series and says when its incident opens and resolves. Pure: no clock, no database."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True)
class Reading:
    """An hour of a series. `expected`, `lo`, `hi` and `is_anomaly` are known where a model judged it."""

    hour: datetime
    value: float
    expected: float | None = None
    lo: float | None = None
    hi: float | None = None
    is_anomaly: bool = False


@dataclass(frozen=True)
class State:
    """Where a walk stands: whether an incident is open, and the row of hours that speak for the opposite.

    `first` is the first hour of that row, `streak` its length.
    """

    is_open: bool = False
    streak: int = 0
    first: Reading | None = None


@dataclass(frozen=True)
class Transition:
    """An incident opens or resolves. `first` began the row of hours that decided it, `last` completed it."""

    opens: bool
    first: Reading
    last: Reading
    streak: int


def walk(
    readings: Iterable[Reading], state: State, breaches: Callable[[Reading], bool], min_hours: int, clear_hours: int
) -> tuple[list[Transition], State]:
    """The transitions that `readings`, in order of their hours, lead to from `state`, and the state after them.

    An incident opens with the `min_hours`-th consecutive breaching hour and resolves with the `clear_hours`-th
    consecutive good one. An hour without a reading is no evidence: it neither adds to a row of hours nor ends it.
    Walking in pieces, each from the state that the one before left, gives the same transitions as walking at once.
    """
    transitions = []
    for reading in readings:
        if breaches(reading) == state.is_open:
            state = replace(state, streak=0, first=None)
            continue
        state = replace(state, streak=state.streak + 1, first=state.first or reading)
        if state.streak >= (clear_hours if state.is_open else min_hours):
            transitions.append(Transition(not state.is_open, state.first, reading, state.streak))
            state = State(is_open=not state.is_open)
    return transitions, state
