"""How charts look, and the kinds that several reports draw. What a chart shows is decided by its template.

Colours are those of Okabe and Ito, which colour-blind people can tell apart; what matters also differs in shape.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.reports.figures import NBSP, Form

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#1f2933", "#5b6673", "#e3e7ec", "#ffffff"
BLUE, VERMILION, SHADE = "#0072b2", "#c4500a", "#f0f3f7"
WIDE, HALF = (600, 300), (290, 176)  # CSS pixels
DPI = 96
LINE = {"color": BLUE, "lw": 1.8, "zorder": 3}


def font_directory() -> Path:
    """Where Source Sans Pro lies: charts, HTML previews and PDF share it, whatever the machine has installed."""
    import font_source_sans_pro

    return Path(font_source_sans_pro.font_directory)


@cache
def _register_fonts() -> None:
    from matplotlib import font_manager

    for weight in ("Regular", "Bold"):
        font_manager.fontManager.addfont(font_directory() / f"SourceSansPro-{weight}.ttf")


@contextmanager
def style() -> Iterator[None]:
    """The look of all charts. Text stays text in SVG, and a `$` in a name is a `$`."""
    import matplotlib

    _register_fonts()
    look = {
        "font.family": ["Source Sans Pro", "DejaVu Sans"],
        "text.color": INK,
        "text.parse_math": False,
        "axes.edgecolor": GRID,
        "axes.spines.left": False,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "grid.color": GRID,
        "grid.linewidth": 0.8,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.bottom": False,
        "ytick.left": False,
        "lines.solid_capstyle": "round",
        "svg.fonttype": "none",
        "svg.hashsalt": "tidemark",
    }
    with matplotlib.rc_context(look):
        yield


def png(figure: "Figure") -> bytes:
    """At twice the CSS size, for sharp screens."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=2 * DPI, metadata={"Software": None})
    return file.getvalue()


def svg(figure: "Figure") -> str:
    file = BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue().decode()


@dataclass(frozen=True)
class Point:
    day: date
    value: float | None
    is_final: bool = True


@dataclass(frozen=True)
class Expected:
    """One day of a forecast with its intervals."""

    day: date
    yhat: float
    lo_80: float
    hi_80: float
    lo_95: float
    hi_95: float

    @classmethod
    def of(cls, row: dict) -> "Expected":
        return cls(**{key: row[key] for key in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Daily:
    """A metric by day: what was, what is forecast, and which days deserve a mark."""

    points: Sequence[Point]
    unit: str
    form: Form
    first: date  # the days that the report is about
    last: date
    forecast: Sequence[Expected] = ()
    unusual: frozenset[date] = frozenset()
    incidents: frozenset[date] = frozenset()
    restated: frozenset[date] = frozenset()


def daily(series: Daily, *, is_wide: bool = False) -> "Figure":
    """A line over days, the report's own days set off, with direct labels instead of a legend."""
    figure, axes = _canvas(is_wide)
    size = 11.5 if is_wide else 9  # a phone shows the wide one at little more than half its size
    final = [point for point in series.points if point.is_final and point.value is not None]
    _vertical_range(axes, series)
    _horizontal_range(axes, series, 6 if is_wide else 3)
    axes.axvspan(_place(series.first) - 0.5, _place(series.last) + 0.5, color=SHADE, lw=0, zorder=0)
    if series.forecast:
        _draw_forecast(axes, series.forecast, size)
    axes.plot([_place(point.day) for point in series.points if point.is_final], _final_values(series), **LINE)
    axes.plot([_place(final[-1].day)], [final[-1].value], ls="", marker="o", ms=4.5, color=BLUE, zorder=4)
    _draw_unfinished(axes, series.points)
    _draw_marks(axes, series)
    _label_last(axes, final[-1], series, size)
    axes.yaxis.set_major_formatter(lambda value, _: series.form.short(round(value, 10), series.unit))
    axes.tick_params(labelsize=size - 0.5, pad=3)
    return figure


def _place(day: date) -> int:
    """Where a day stands on the horizontal axis."""
    return (day - date(1970, 1, 1)).days


def _canvas(is_wide: bool) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    width, height = WIDE if is_wide else HALF
    figure = Figure(figsize=(width / DPI, height / DPI), facecolor=PAPER)
    left, right = (48, 64) if is_wide else (36, 62)
    box = (left / width, 26 / height, (width - left - right) / width, (height - 26 - 20) / height)
    return figure, figure.add_axes(box, facecolor=PAPER)


def _final_values(series: Daily) -> list[float]:
    """A gap in the line where a ratio had no value that day."""
    return [float("nan") if point.value is None else point.value for point in series.points if point.is_final]


def _vertical_range(axes: "Axes", series: Daily) -> None:
    """From zero, so that heights compare; scores, which never come near zero, from their own range.

    A day that has only begun does not set the scale: the first hours of a ratio can be anything.
    """
    known = [point.value for point in series.points if point.is_final and point.value is not None]
    known += [edge for expected in series.forecast for edge in (expected.lo_95, expected.hi_95)]
    low, high = min(known), max(known)
    margin = (high - low or abs(high) or 1) * 0.15
    if series.unit == "score":
        axes.set_ylim(low - margin, high + margin)
    else:
        axes.set_ylim(low - margin if low < 0 else 0, max(high, 0) + margin)
    axes.yaxis.set_major_locator(_few_ticks(series.unit))


def _horizontal_range(axes: "Axes", series: Daily, ticks: int) -> None:
    from matplotlib.dates import MO, WeekdayLocator, num2date

    places = [_place(one.day) for one in (*series.points, *series.forecast)]
    axes.set_xlim(min(places) - 1, max(places) + 1.5)
    weeks = max(1, round((max(places) - min(places)) / 7 / ticks))
    axes.xaxis.set_major_locator(WeekdayLocator(byweekday=MO, interval=weeks))
    axes.xaxis.set_major_formatter(lambda place, _: series.form.tick(num2date(place)))


def _draw_forecast(axes: "Axes", forecast: Sequence[Expected], size: float) -> None:
    """The expected line, and both intervals with their names at the right edge."""
    places = [_place(one.day) for one in forecast]
    for level, color, side in ((95, "#d9e9f3", "bottom"), (80, "#aecfe4", "top")):
        low, high = ([getattr(one, f"{edge}_{level}") for one in forecast] for edge in ("lo", "hi"))
        axes.fill_between(places, low, high, color=color, lw=0, zorder=1)
        name = {"va": side, "color": MUTED, "fontsize": size - 1.5}
        axes.annotate(f"{level} %", (places[-1], high[-1]), xytext=(5, 0), textcoords="offset points", **name)
    axes.plot(places, [one.yhat for one in forecast], color=BLUE, lw=1.5, ls=(0, (3, 2)), zorder=3)


def _draw_unfinished(axes: "Axes", points: Sequence[Point]) -> None:
    """Days that may still change: hollow, apart from the line, and left out where they are off its scale."""
    low, high = axes.get_ylim()
    shown = [point for point in points if not point.is_final and point.value is not None and low <= point.value <= high]
    hollow = {"ls": "", "marker": "o", "ms": 4.5, "mfc": PAPER, "mec": MUTED, "mew": 1.1, "clip_on": False}
    axes.plot([_place(point.day) for point in shown], [point.value for point in shown], zorder=4, **hollow)


def _draw_marks(axes: "Axes", series: Daily) -> None:
    """A ring around a day with unusual hours, a square where it was restated, a triangle where an incident opened."""
    at = {point.day: point.value for point in series.points if point.value is not None}
    marked = (series.unusual, series.incidents, series.restated)
    unusual, incidents, restated = (sorted(days & at.keys()) for days in marked)
    ring = {"ls": "", "marker": "o", "ms": 8, "mfc": "none", "mec": VERMILION, "mew": 1.5}
    axes.plot([_place(day) for day in unusual], [at[day] for day in unusual], zorder=5, **ring)
    square = {"ls": "", "marker": "s", "ms": 5.5, "mfc": PAPER, "mec": BLUE, "mew": 1.5}
    axes.plot([_place(day) for day in restated], [at[day] for day in restated], zorder=5, **square)
    triangle = {"ls": "", "marker": "v", "ms": 6.5, "color": VERMILION, "clip_on": False}
    axes.plot([_place(day) for day in incidents], [axes.get_ylim()[1]] * len(incidents), zorder=5, **triangle)


def _label_last(axes: "Axes", last: Point, series: Daily, size: float) -> None:
    """The newest final value: beside the chart, or at its top where a forecast goes on to the right."""
    words = {"color": BLUE, "weight": "bold", "fontsize": size, "zorder": 6, "textcoords": "offset points"}
    shown = series.form.figure(last.value, series.unit).removeprefix(f"{series.form.currency}{NBSP}")  # said above it
    if series.forecast:
        place = (_place(last.day), axes.get_ylim()[1])
        axes.annotate(
            f"{series.form.weekday(last.day)}: {shown}", place, xytext=(4, 2), ha="right", va="bottom", **words
        )
    else:
        axes.annotate(shown, (axes.get_xlim()[1], last.value), xytext=(4, 0), va="center", **words)


@dataclass(frozen=True)
class Bar:
    """One of several things that are compared."""

    name: str
    value: float
    text: str  # the value as a reader sees it
    beside: float | None = None
    lo: float | None = None
    hi: float | None = None


def bars(shown: Sequence[Bar], unit: str, form: Form, beside: str = "") -> "Figure":
    """Bars that lie, the first at the top, each with its name before it and its value behind it."""
    from matplotlib.figure import Figure

    width, height = WIDE[0], 34 + 24 * len(shown) + (18 if beside else 0)
    figure = Figure(figsize=(width / DPI, height / DPI), facecolor=PAPER)
    top = 8 + (18 if beside else 0)
    box = (180 / width, 24 / height, (width - 180 - 84) / width, (height - 24 - top) / height)
    axes = figure.add_axes(box, facecolor=PAPER)
    places = range(len(shown))
    axes.barh(places, [bar.value for bar in shown], color=BLUE, height=0.62, zorder=2)
    _draw_intervals(axes, shown)
    if beside:
        _draw_beside(axes, shown, beside)
    edges = [edge for bar in shown for edge in (bar.value, bar.beside, bar.hi, bar.lo, 0.0) if edge is not None]
    low, high = min(edges), max(edges)
    axes.set_xlim(low - (high - low) * 0.04 if low < 0 else 0, high + (high - low) * 0.04 or 1)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_yticks(list(places), [_shortened(bar.name) for bar in shown], fontsize=10.5, color=INK)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    axes.xaxis.set_major_locator(_few_ticks(unit))
    axes.xaxis.set_major_formatter(lambda value, _: form.short(round(value, 10), unit))
    axes.tick_params(axis="x", labelsize=10, pad=2)
    for place, bar in enumerate(shown):
        end = max(edge for edge in (bar.value, bar.hi, bar.beside, 0.0) if edge is not None)
        words = {"color": INK, "weight": "bold", "fontsize": 10.5, "textcoords": "offset points", "zorder": 6}
        axes.annotate(bar.text, (end, place), xytext=(6, 0), va="center", annotation_clip=False, **words)
    return figure


def _few_ticks(unit: str):
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10], integer=unit == "count")


def _shortened(name: str) -> str:
    return name if len(name) <= 26 else f"{name[:25]}…"


def _draw_intervals(axes: "Axes", shown: Sequence[Bar]) -> None:
    for place, bar in enumerate(shown):
        if bar.lo is not None and bar.hi is not None:
            axes.plot([bar.lo, bar.hi], [place, place], color=INK, lw=1.6, zorder=4, solid_capstyle="butt")


def _draw_beside(axes: "Axes", shown: Sequence[Bar], name: str) -> None:
    """The second value as an upright mark, named once above."""
    known = [(bar.beside, place) for place, bar in enumerate(shown) if bar.beside is not None]
    mark = {"ls": "", "marker": "|", "ms": 17, "mew": 2.4, "color": VERMILION}
    axes.plot([value for value, _ in known], [place for _, place in known], zorder=5, **mark)
    words = {"color": VERMILION, "fontsize": 10, "ha": "left", "va": "bottom", "annotation_clip": False}
    axes.annotate(f"┃ {name}", (0, 1), xycoords="axes fraction", xytext=(0, 2), textcoords="offset points", **words)
