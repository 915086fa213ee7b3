"""A figure's form may round it, and must not change it."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.reports import figures
from orchestration.reports.snapshot import Period


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (1204, "count", "1,204"),
        (Decimal("745.857142"), "count", "745.9"),
        (Decimal("48213.49"), "money", "EUR 48,213"),
        (Decimal("12.5"), "money", "EUR 12.50"),
        (-250, "money", "EUR −250.00"),
        (78.44, "score", "78.4"),
        (45_000, "seconds", "12.5 h"),
        (90, "seconds", "1.5 min"),
        (59, "seconds", "59 s"),
        (0.0042, "rate", "0.42 %"),
        (181.6, "ms", "182 ms"),
        (None, "money", "–"),
    ],
)
def test_a_value_is_shown_in_its_unit(value, unit, shown):
    assert figures.figure(value, unit, "EUR").replace(figures.NBSP, " ") == shown


values = st.floats(-1e9, 1e9) | st.decimals(-(10**15), 10**15, places=4)


@given(values, st.sampled_from(["count", "money", "score", "rate", "ms"]))
def test_a_shown_value_is_the_value_rounded_at_its_last_digit(value, unit):
    text = figures.figure(value, unit, "EUR")
    digits = re.search(r"[\d,.]+", text)[0].replace(",", "")
    scale = 100 if unit == "rate" else 1
    read = Decimal(digits) * (-1 if "−" in text else 1) / scale
    last_digit = Decimal(10) ** -len(digits.partition(".")[2]) / scale
    assert abs(read - Decimal(value)) <= last_digit / 2 + abs(Decimal(value)) * Decimal("1e-15")


@pytest.mark.parametrize(
    ("rate", "shown"), [(0.1234, "+12.3 %"), (Decimal("-0.0449"), "−4.5 %"), (-0.0001, "0.0 %"), (None, "–")]
)
def test_a_change_has_a_sign_unless_it_rounds_to_nothing(rate, shown):
    assert figures.change(rate).replace(figures.NBSP, " ") == shown


@pytest.mark.parametrize(
    ("first", "last", "shown"),
    [
        (date(2026, 3, 2), date(2026, 3, 8), "2–8 March 2026"),
        (date(2026, 2, 27), date(2026, 3, 5), "27 February – 5 March 2026"),
        (date(2025, 12, 29), date(2026, 1, 4), "29 December 2025 – 4 January 2026"),
    ],
)
def test_days_name_what_differs(first, last, shown):
    assert figures.days(first, last) == shown


def test_times_are_those_of_the_zone_and_moments_name_it():
    zone, summer = ZoneInfo("Europe/Berlin"), datetime(2026, 7, 4, 22, 30, tzinfo=UTC)
    assert figures.hour(summer, zone) == "Sun 5 Jul, 00:30"
    assert figures.moment(summer, zone) == "Sun 5 July 2026, 00:30 CEST"


def test_a_period_is_named_as_iso_8601_names_it():
    assert Period(date(2026, 3, 2), date(2026, 3, 8)).name == "2026-W10"
    assert Period(date(2025, 12, 29), date(2026, 1, 4)).name == "2026-W01"
    assert Period(date(2026, 3, 3), date(2026, 3, 9)).name == "2026-03-03--2026-03-09"
