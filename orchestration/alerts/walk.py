"""Walks over the steps of a series and says when its incident opens and resolves. Pure: no clock, no database."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True)
class Reading:
    """A step of a series, which begins `at`. `expected`, `lo` and `hi` are known where it was judged."""

    at: datetime
    value: float
    expected: float | None = None
    lo: float | None = None
    hi: float | None = None


@dataclass(frozen=True)
class State:
    """Where a walk stands: whether an incident is open, and the row of steps that speak for the opposite.

    `first` is the first step of that row, `streak` its length.
    """

    is_open: bool = False
    streak: int = 0
    first: Reading | None = None


@dataclass(frozen=True)
class Transition:
    """An incident opens or resolves. `first` began the row of steps that decided it, `last` completed it."""

    opens: bool
    first: Reading
    last: Reading
    streak: int


def walk(
    readings: Iterable[Reading], state: State, breaches: Callable[[Reading], bool], consecutive: int, clear: int
) -> tuple[list[Transition], State]:
    """The transitions that `readings`, in order, lead to from `state`, and the state after them.

    An incident opens with the `consecutive`-th breaching step in a row and resolves with the `clear`-th good one. A
    step without a reading is no evidence: it neither adds to a row nor ends it. Walking in pieces, each from the state
    that the one before left, gives the same transitions as walking at once.
    """
    transitions = []
    for reading in readings:
        if breaches(reading) == state.is_open:
            state = replace(state, streak=0, first=None)
            continue
        state = replace(state, streak=state.streak + 1, first=state.first or reading)
        if state.streak >= (clear if state.is_open else consecutive):
            transitions.append(Transition(not state.is_open, state.first, reading, state.streak))
            state = State(is_open=not state.is_open)
    return transitions, state
