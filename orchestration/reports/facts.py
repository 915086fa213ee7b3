"""From the rows of a query to facts that can be shown, and from a template's text to sentences that rest on them."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from orchestration.errors import TidemarkError
from orchestration.reports import figures
from orchestration.reports.document import Fact, Sentence, Tone
from orchestration.reports.figures import NBSP, Form
from orchestration.reports.snapshot import Row
from orchestration.reports.template import Label

if TYPE_CHECKING:
    import jinja2

LEVEL = 0.0005  # a smaller change is shown as 0.0 %
SUFFIXES = {"_rate": "rate", "_ms": "ms", "_seconds": "seconds"}
FIGURES = ("count", "money", "score", "seconds", "rate", "ms", "number")


def unit_of(column: str, value: object, known: Mapping[str, Label], row: Row) -> str:
    """What a value is measured in: as `columns.yml` says, else as its name does, else by its type."""
    said = known.get(column, Label()).unit
    if said == "by_row":
        return row["unit"]
    if said:
        return said
    if isinstance(value, bool):
        return "yes_no"
    if isinstance(value, datetime):
        return "moment"
    if isinstance(value, date):
        return "day"
    if isinstance(value, str | list) or (value is None and not column.endswith(tuple(SUFFIXES))):
        return "text"
    return next((unit for suffix, unit in SUFFIXES.items() if column.endswith(suffix)), "count")


def fact(source: str, row: Row, column: str, known: Mapping[str, Label], form: Form) -> Fact:
    """One value of a row, as its reader sees it; `source` is query[row]."""
    value = row[column]
    unit = unit_of(column, value, known, row)
    currency = row.get("currency") or form.currency
    text = _text(value, unit, currency, form)
    if isinstance(value, list):
        value = text
    return Fact(value, unit, text, f"{source}.{column}", currency, _tone(value, known.get(column, Label()).good, row))


def _text(value, unit: str, currency: str, form: Form) -> str:
    if value is None or value == []:
        return figures.MISSING
    if unit == "change":
        return form.change(value)
    if unit in FIGURES:
        return form.figure(value, unit, currency)
    words = {
        "moment": lambda: form.hour(value),
        "day": lambda: form.day(value),
        "yes_no": lambda: "yes" if value else "no",
        "metric": lambda: figures.label(value),
        "name": lambda: figures.label(value),
        "text": lambda: ", ".join(map(str, value)) if isinstance(value, list) else str(value),
    }
    return words[unit]()


def _tone(value, good: str | None, row: Row) -> Tone:
    """Whether a change is for the better, by the direction that is called good."""
    direction = row["good_direction"] if good == "by_row" else good
    if direction is None or value is None or abs(value) < 0.005:
        return "plain"
    return "better" if (value > 0) == (direction == "up") else "worse"


def moved(rate: Fact) -> Fact:
    """'rose 12.3 % to', 'fell 4.0 % to', or 'stayed at' where the change rounds to nothing: before the new value."""
    if rate.value is None:
        text = "came to"
    elif abs(rate.value) < LEVEL:
        text = "stayed at"
    else:
        text = f"{'rose' if rate.value > 0 else 'fell'} {rate.text.lstrip('+−')} to"
    return Fact(rate.value, rate.unit, text, rate.source)


def lower(said: Fact) -> Fact:
    """A name as it goes on within a sentence."""
    return Fact(said.value, said.unit, said.text[:1].lower() + said.text[1:], said.source)


def words(said: Fact) -> Fact:
    """A code as words: `lower_price` is 'Lower price'."""
    return Fact(said.value, said.unit, figures.label(said.text), said.source)


def plural(number: Fact, one: str, many: str | None = None) -> Fact:
    """`1 record`, `1,204 records`."""
    text = f"{number.text}{NBSP}{one if number.value == 1 else many or one + 's'}"
    return Fact(number.value, number.unit, text, number.source)


@cache
def _environment() -> "jinja2.Environment":
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, cache_size=1000)
    environment.filters.update(moved=moved, lower=lower, words=words, plural=plural)
    return environment


def say(text: str, known: Mapping[str, object]) -> Sentence:
    """Fill a template's sentence. Raises TidemarkError where it names what there is not, or rests on no figure."""
    import jinja2

    told: list[Fact] = []

    def note(value: object) -> object:
        if isinstance(value, Fact):
            told.append(value)
        return value

    overlay = _environment().overlay(finalize=note)
    try:
        said = " ".join(overlay.from_string(text).render(known).split(" ")).strip()
    except jinja2.TemplateError as error:
        raise TidemarkError(f"A report cannot say {text!r}: {error}; correct its template.yml.") from error
    if not any(one.is_figure for one in told):
        raise TidemarkError(
            f"A report must not say {said!r}: the sentence rests on no figure; correct its template.yml."
        )
    return Sentence(said, told)


def scope(query: str, rows: list[Row], known: Mapping[str, Label], form: Form, at: int = 0) -> dict[str, object]:
    """What a sentence may name: the columns of one row, and `count`, the number of rows."""
    count = Fact(len(rows), "count", form.figure(len(rows), "count"), f"{query}.count")
    row = rows[at] if rows else {}
    return {column: fact(f"{query}[{at}]", row, column, known, form) for column in row} | {"count": count}


def numbers(rows: list[Row]) -> Iterator[tuple[str, Decimal]]:
    """The total of every column of figures: what a copy of the rows can be checked against."""
    for column in rows[0] if rows else ():
        values = [row[column] for row in rows]
        known = [value for value in values if isinstance(value, int | float | Decimal) and not isinstance(value, bool)]
        if known:
            yield column, sum((Decimal(str(value)) for value in known), Decimal(0))
