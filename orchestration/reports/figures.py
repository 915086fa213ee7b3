"""Numbers, days and times as a reader sees them. Only their form is decided here, never their value."""

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

NBSP = "\u00a0"
MISSING = "–"
Number = Decimal | float | int


def figure(value: Number | None, unit: str, currency: str) -> str:
    """A value in a unit of the catalogue: `1,234`, `EUR 1,234`, `78.4`, `12.5 h`, `0.42 %` or `182 ms`."""
    if value is None:
        return MISSING
    return _shapes(value, currency)[unit]().replace("-", "−").replace(" ", NBSP)


def _shapes(value: Number, currency: str) -> dict:
    return {
        "count": lambda: f"{value:,.0f}" if value == round(value) else f"{value:,.1f}",
        "money": lambda: f"{currency} {value:,.0f}" if abs(value) >= 1000 else f"{currency} {value:,.2f}",
        "score": lambda: f"{value:,.1f}",
        "seconds": lambda: _duration(value),
        "rate": lambda: f"{value * 100:,.2f} %",
        "ms": lambda: f"{value:,.0f} ms",
    }


def _duration(seconds: Number) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if abs(seconds) >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} s"


def change(rate: Number | None) -> str:
    """A relative change with its sign: `+12.3 %`."""
    if rate is None:
        return MISSING
    shown = f"{rate * 100:+,.1f}"
    return f"{'0.0' if shown in ('+0.0', '-0.0') else shown}{NBSP}%".replace("-", "−")


def short(value: float, unit: str) -> str:
    """A value as short as an axis wants it: `12k`, `3.5%`."""
    if unit == "rate":
        return f"{value * 100:g}%"
    if unit == "seconds":
        return f"{value / 3600:g} h"
    for size, letter in ((1e9, "bn"), (1e6, "m"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):g}{letter}".replace("-", "−")
    return f"{value:,g}".replace("-", "−")


def day(value: date, *, weekday: bool = True) -> str:
    """`Sun 8 March`."""
    return f"{value:%a} {value.day} {value:%B}" if weekday else f"{value.day} {value:%B}"


def days(first: date, last: date) -> str:
    """`2–8 March 2026`, with as much of the first day's month and year as differs."""
    if first.year != last.year:
        return f"{day(first, weekday=False)} {first.year} – {day(last, weekday=False)} {last.year}"
    if first.month != last.month:
        return f"{day(first, weekday=False)} – {day(last, weekday=False)} {last.year}"
    return f"{first.day}–{last.day} {last:%B %Y}"


def hour(value: datetime, zone: ZoneInfo) -> str:
    """`Thu 5 Mar, 14:00`, on the tenant's clock. The zone is named once, where hours are listed."""
    local = value.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b}, {local:%H:%M}"


def moment(value: datetime, zone: ZoneInfo) -> str:
    """`Sun 8 March 2026, 14:05 CET`."""
    local = value.astimezone(zone)
    return f"{day(local)} {local.year}, {local:%H:%M} {local.tzname()}"


def label(metric: str) -> str:
    """A metric's name in words: `latency_p95_ms` is 'Latency p95', `learning_seconds` is 'Learning time'."""
    words = metric.removesuffix("_ms").replace("_seconds", "_time").replace("_", " ")
    return words[:1].upper() + words[1:]


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 record`, `1,204 records`."""
    return f"{count:,}{NBSP}{one if count == 1 else many or one + 's'}"
