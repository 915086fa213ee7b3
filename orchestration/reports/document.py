"""The parts that every report is made of. A template fills them; the layouts turn them into text, HTML and PDF."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Tone = Literal["better", "worse", "plain"]


@dataclass(frozen=True)
class Cell:
    """One cell of a table, in the form that a reader sees."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Table:
    """A table with a head. Columns whose name begins with `>` hold figures and are set flush right."""

    name: str
    title: str
    columns: list[str]
    groups: list[tuple[str, list[list[Cell]]]]  # a group's heading ('' for none) and its rows
    note: str = ""

    @property
    def heads(self) -> list[tuple[str, bool]]:
        """Name and whether it holds figures, for each column."""
        return [(name.removeprefix(">"), name.startswith(">")) for name in self.columns]


@dataclass(frozen=True)
class Tile:
    """One figure that is seen first."""

    label: str
    value: str
    change: str
    tone: Tone


@dataclass(frozen=True)
class Chart:
    """A chart whose title is its finding; `alt` says in words what the picture shows."""

    name: str
    title: str
    subtitle: str
    alt: str
    draw: Callable[[], "Figure"]
    is_wide: bool = False


@dataclass(frozen=True)
class Notice:
    """What a reader must know before the first figure."""

    title: str
    sentences: list[str]
    meaning: str  # what it means for the figures below


@dataclass(frozen=True)
class Document:
    """A whole report, in reading order."""

    title: str
    headline: str  # one short sentence with a figure; also the mail's subject
    findings: list[str]  # each a sentence with its figures
    actions: list[str]
    tiles: list[Tile]
    charts: list[Chart]
    charts_note: str  # how to read them
    tables: list[Table]
    notes: list[str]  # where the figures come from, at the end
