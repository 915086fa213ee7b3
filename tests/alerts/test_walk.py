"""The walk over hours, by hand and by property."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.alerts.walk import Reading, State, walk

START = datetime(2026, 3, 2, tzinfo=UTC)


def readings(values: list[float]) -> list[Reading]:
    return [Reading(START + timedelta(hours=number), value) for number, value in enumerate(values)]


def changes(values: list[float], consecutive: int, clear: int, pieces: list[int] = ()) -> list[tuple[str, int, int]]:
    """(what, first hour, last hour) of each transition, with values above 1 breaching, walked in pieces."""
    found, state, hours = [], State(), readings(values)
    for begin, end in zip([0, *pieces], [*pieces, len(hours)], strict=True):
        transitions, state = walk(hours[begin:end], state, lambda reading: reading.value > 1, consecutive, clear)
        found += transitions
    number = {reading.at: index for index, reading in enumerate(hours)}
    return [("open" if t.opens else "resolve", number[t.first.at], number[t.last.at]) for t in found]


@pytest.mark.parametrize(
    ("values", "consecutive", "clear", "expected"),
    [
        ([0, 2, 0], 1, 1, [("open", 1, 1), ("resolve", 2, 2)]),
        ([0, 2, 0, 2, 0], 2, 1, []),  # never two in a row
        ([0, 2, 2, 2, 0, 2, 0, 0], 2, 2, [("open", 1, 2), ("resolve", 6, 7)]),  # the dip at 4 is too short
        ([2, 2, 0, 0, 2, 2], 2, 2, [("open", 0, 1), ("resolve", 2, 3), ("open", 4, 5)]),
        ([1, 1, 1], 1, 1, []),  # at the limit is not above it
        ([], 1, 1, []),
    ],
)
def test_opens_and_resolves_after_as_many_hours_as_the_rule_says(values, consecutive, clear, expected):
    assert changes(values, consecutive, clear) == expected


series = st.lists(st.sampled_from([0.0, 2.0]), max_size=60)
hours = st.integers(1, 4)


@given(series, hours, hours, st.data())
def test_any_split_into_batches_gives_the_same_transitions(values, consecutive, clear, data):
    pieces = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=8)))
    assert changes(values, consecutive, clear, pieces) == changes(values, consecutive, clear)


@given(series, hours, hours)
def test_openings_and_resolutions_alternate_and_each_has_its_row_of_hours(values, consecutive, clear):
    found = changes(values, consecutive, clear)
    assert [what for what, _, _ in found] == ["open", "resolve"] * (len(found) // 2) + ["open"] * (len(found) % 2)
    for what, first, last in found:
        assert {value > 1 for value in values[first : last + 1]} == {what == "open"}
        assert last - first + 1 == (consecutive if what == "open" else clear)


@given(series, hours, hours)
def test_no_row_of_breaching_hours_that_is_long_enough_stays_unnoticed(values, consecutive, clear):
    found = changes(values, consecutive, clear)
    for start in range(len(values) - consecutive + 1):
        if all(value > 1 for value in values[start : start + consecutive]):
            end = start + consecutive - 1
            openings = [last for what, _, last in found if what == "open" and last <= end]
            resolutions = [last for what, _, last in found if what == "resolve" and last <= end]
            assert len(openings) == len(resolutions) + 1  # an incident is open at that hour
