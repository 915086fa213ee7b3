"""What a template may say: the models of `templates/*/template.yml`, of `standard.yml` and of `columns.yml`."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from orchestration.errors import TidemarkError
from orchestration.settings.config import Config, load

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"
STANDARD = HERE / "queries" / "standard"

Name = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]


class Label(Config):
    """How a column of a query is shown. What its name says by itself is not said again: `_rate` is a share, …"""

    label: str | None = None
    unit: str | None = Field(None, description="one of the catalogue's; `by_row`: what the column `unit` says")
    good: Literal["up", "down", "by_row"] | None = None


class Says(Config):
    """A sentence for each of the first rows of a query, with the row's columns by name in `{{ }}`."""

    of: Name
    says: str
    most: int = Field(1, ge=1)


class TileSpec(Config):
    """A figure of the first rows of a query."""

    of: Name
    value: Name
    label: str = Field(description="a text, or the name of a column")
    change: Name | None = None
    most: int = Field(1, ge=1)


class ChartSpec(Config):
    """A picture of a query's rows: bars side by side, or a line over days."""

    of: Name
    kind: Literal["bars", "line"]
    axis: Name = Field(description="the column of names, or of days")
    value: Name
    beside: Name | None = Field(None, description="a second column in the same unit: a mark on the bar, a second line")
    lo: Name | None = Field(None, description="with `hi`, the interval around the value")
    hi: Name | None = None
    title: str = Field(description="the finding, with the columns of the first row, or of a line's last, in {{ }}")
    subtitle: str
    most: int = Field(12, ge=2, description="bars")
    optional: bool = Field(False, description="left out where there is nothing; any other chart then holds the report")


class TableSpec(Config):
    """A query's rows. Mail and PDF show the first `most`."""

    of: Name
    title: str
    columns: list[Name] = Field(min_length=1)
    most: int = Field(20, ge=1)
    note: str = ""


class Part(Config):
    """What templates and the part that many of them share can hold."""

    columns: dict[Name, Label] = {}
    findings: list[Says] = []
    actions: list[Says] = []
    tiles: list[TileSpec] = []
    charts: list[ChartSpec] = []
    tables: list[TableSpec] = []
    notes: list[Says] = []


class Template(Part):
    """`template.yml`."""

    title: str
    about: str
    parameters: dict[Name, str] = {}
    metrics: list[Name] = Field([], description="of the catalogue: compared, drawn and explained; the first leads")
    is_of_all_metrics: bool = Field(False, description="whether its table has every other metric too")
    headline: Says | None = Field(None, description="unless the first metric's change is the headline")


class Columns(Config):
    """`columns.yml`."""

    columns: dict[Name, Label]


@cache
def names() -> list[str]:
    """All templates there are."""
    return sorted(path.parent.name for path in TEMPLATES.glob("*/template.yml"))


@cache
def read(name: str) -> Template:
    """A template's `template.yml`. Raises TidemarkError when there is none, and with file and line for a mistake."""
    if name not in names():
        raise TidemarkError(f"There is no report template {name!r}: a report may name {', '.join(names())}.")
    return load("template.yml", Template, TEMPLATES / name)


@cache
def standard() -> Part:
    return load("standard.yml", Part, HERE)


@cache
def columns() -> dict[str, Label]:
    """What columns are called and measured in, in every template."""
    return load("columns.yml", Columns, HERE).columns


@cache
def queries(name: str) -> dict[str, str]:
    """The SQL of a template by name; with metrics, also that of the standard part."""
    folders = [STANDARD] if read(name).metrics else []
    paths = [path for folder in (*folders, TEMPLATES / name) for path in sorted(folder.glob("*.sql"))]
    return {path.stem: path.read_text(encoding="utf-8") for path in paths}
