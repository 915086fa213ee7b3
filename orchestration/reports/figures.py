"""Numbers, days and times as their reader's locale writes them. Only the form is decided here, never the value."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from zoneinfo import ZoneInfo

NBSP = "\u00a0"
MISSING = "–"
Number = Decimal | float | int


@cache
def _marks(locale: str) -> dict[int, str]:
    """What stands between thousands and before decimals, in place of the English marks."""
    from babel.numbers import get_decimal_symbol, get_group_symbol

    group = get_group_symbol(locale)
    return {ord(","): NBSP if group.isspace() else group, ord("."): get_decimal_symbol(locale)}


@dataclass(frozen=True)
class Form:
    """How one reader wants figures: whose clock, which currency where none is named, the marks of which locale."""

    zone: ZoneInfo
    currency: str
    locale: str = "en"

    def figure(self, value: Number | None, unit: str, currency: str | None = None) -> str:
        """A value in a unit: `1,234`, `EUR 1,234`, `78.4`, `12.5 h`, `0.42 %` or `182 ms`."""
        if value is None:
            return MISSING
        shown = _SHAPES[unit](value)
        if unit == "money":
            shown = f"{currency or self.currency} {shown}"
        return self.localized(shown.replace("-", "−").replace(" ", NBSP))

    def change(self, rate: Number | None) -> str:
        """A relative change with its sign: `+12.3 %`."""
        if rate is None:
            return MISSING
        shown = f"{rate * 100:+,.1f}"
        return self.localized(f"{'0.0' if shown in ('+0.0', '-0.0') else shown}{NBSP}%".replace("-", "−"))

    def short(self, value: float, unit: str) -> str:
        """A value as short as an axis wants it: `12k`, `3.5%`."""
        if unit in ("rate", "change"):
            return self.localized(f"{value * 100:g}%".replace("-", "−"))
        if unit == "seconds":
            return self.localized(f"{value / 3600:g} h")
        for size, letter in ((1e9, "bn"), (1e6, "m"), (1e4, "k")):
            if abs(value) >= size:
                return self.localized(f"{value / (1e3 if letter == 'k' else size):g}{letter}".replace("-", "−"))
        return self.localized(f"{value:,g}".replace("-", "−"))

    def moment(self, value: datetime) -> str:
        """`Sun 8 March 2026, 14:05 CET`."""
        local = value.astimezone(self.zone)
        return f"{self.day(local)}, {local:%H:%M} {local.tzname()}"

    def hour(self, value: datetime) -> str:
        """`Thu 5 Mar 2026, 14:00`. The zone is named once, where hours are listed."""
        local = value.astimezone(self.zone)
        named = f"{local:%a} {local.day} {local:%b} {local.year}" if self._is_english else self.day(local)
        return f"{named}, {local:%H:%M}"

    def day(self, value: date) -> str:
        """`Sun 8 March 2026`."""
        if self._is_english:
            return f"{value:%a} {value.day} {value:%B} {value.year}"
        return self._dated(value, "yMMMEd")

    def days(self, first: date, last: date) -> str:
        """`2–8 March 2026`, or `Sun 8 March 2026`, with as much of the first day's month and year as differs."""
        if first == last:
            return self.day(last)
        if not self._is_english:
            from babel.dates import format_interval

            return format_interval(first, last, "yMMMd", locale=self.locale)
        if first.year != last.year:
            return f"{first.day} {first:%B} {first.year} – {last.day} {last:%B} {last.year}"
        if first.month != last.month:
            return f"{first.day} {first:%B} – {last.day} {last:%B} {last.year}"
        return f"{first.day}–{last.day} {last:%B %Y}"

    def tick(self, value: date) -> str:
        """`8 Mar`, for an axis."""
        return f"{value.day} {value:%b}" if self._is_english else self._dated(value, "MMMd")

    def weekday(self, value: date) -> str:
        """`Sun`."""
        return f"{value:%a}" if self._is_english else self._dated(value, "E")

    def _dated(self, value: date, skeleton: str) -> str:
        from babel.dates import format_skeleton

        return format_skeleton(skeleton, value, locale=self.locale)

    @property
    def _is_english(self) -> bool:
        return self.locale.startswith("en")

    def localized(self, shown: str) -> str:
        """English figures with the marks of the reader's locale."""
        return shown if self._is_english else shown.translate(_marks(self.locale))


def _count(value: Number) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def _number(value: Number) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{float(value):.3g}"


def _duration(seconds: Number) -> str:
    for least, size, unit in ((50 * 86400, 86400, "d"), (3600, 3600, "h"), (60, 60, "min")):
        if abs(seconds) >= least:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} s"


_SHAPES = {
    "count": _count,
    "money": lambda value: f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.2f}",
    "score": lambda value: f"{value:,.1f}",
    "seconds": _duration,
    "rate": lambda value: f"{value * 100:,.2f} %",
    "ms": lambda value: f"{value:,.0f} ms",
    "number": _number,
}


def label(name: str) -> str:
    """A metric's or a column's name in words: `latency_p95_ms` is 'Latency p95', `learning_seconds` 'Learning time'."""
    words = name.removeprefix("is_").removeprefix("has_").removesuffix("_ms").removesuffix("_at")
    words = words.replace("_seconds", "_time").replace("_", " ")
    return words[:1].upper() + words[1:]
