"""The parts that every report is made of. Templates fill them; the layouts and the workbook tell them to readers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Tone = Literal["better", "worse", "plain"]
Value = str | int | float | Decimal | bool | date | datetime | None


@dataclass(frozen=True)
class Fact:
    """One value of a query, and how its reader sees it. Where it came from goes with it."""

    value: Value
    unit: str  # one of the catalogue, or of `columns.yml`
    text: str
    source: str = ""  # query[row].column
    currency: str = ""
    tone: Tone = "plain"

    @property
    def is_figure(self) -> bool:
        return isinstance(self.value, int | float | Decimal) and not isinstance(self.value, bool)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Sentence:
    """What is said, and the values that it rests on."""

    text: str
    facts: list[Fact] = field(default_factory=list)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Column:
    """A column of a table. Figures are set flush right."""

    name: str  # in the query
    label: str
    is_figure: bool


@dataclass(frozen=True)
class Table:
    """A table with a head. Mail and PDF show the first `shown` rows and say so; workbook and CSV have all."""

    name: str
    title: str
    columns: list[Column]
    rows: list[list[Fact]]
    shown: int
    note: str = ""


@dataclass(frozen=True)
class Tile:
    """One figure that is seen first."""

    label: str
    value: Fact
    change: Fact | None = None


@dataclass(frozen=True)
class Plot:
    """What a chart draws, as a table for those who want to draw it themselves: the workbook's own charts do."""

    kind: Literal["line", "bar"]
    columns: list[str]  # the first is the axis, the others are lines or bars
    rows: list[list[Value]]
    unit: str


@dataclass(frozen=True)
class Chart:
    """A chart whose title is its finding; `alt` says in words what the picture shows."""

    name: str
    title: Sentence
    subtitle: str
    alt: str
    draw: Callable[[], "Figure"]
    plot: Plot
    is_wide: bool = False


@dataclass(frozen=True)
class Notice:
    """Why a report is not sent."""

    title: str
    sentences: list[str]
    meaning: str  # what it means for its reader


@dataclass(frozen=True)
class Document:
    """A whole report, in reading order."""

    title: str
    headline: Sentence  # one short sentence with a figure; also the mail's subject
    findings: list[Sentence]
    actions: list[Sentence]
    tiles: list[Tile]
    charts: list[Chart]
    charts_note: str  # how to read them
    tables: list[Table]
    notes: list[str]  # where the figures come from, at the end
