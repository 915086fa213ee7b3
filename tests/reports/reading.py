"""Reading reports back: what each format holds, without the code that wrote it."""

import csv
import re
from datetime import date, datetime
from decimal import Decimal
from html.parser import HTMLParser
from io import BytesIO, StringIO

import openpyxl
import pypdf

NUMBER = re.compile(r"([+−-]?)(\d[\d,]*(?:\.\d+)?)[ \u00a0]?(%|h\b|min\b|ms\b|d\b)?")
SCALE = {"%": Decimal("0.01"), "h": Decimal(3600), "min": Decimal(60), "d": Decimal(86400)}


class Page(HTMLParser):
    """What a reader sees of an HTML page, what a browser would load for it, and the cells of its tables and tiles."""

    def __init__(self, html: bytes | str):
        super().__init__()
        self.tags, self.loads, self.handlers, self.words = [], [], [], ""
        self.tables: dict[str, list[list[str]]] = {}
        self.tiles: list[list[str]] = []
        self._table = self._cell = None
        self.feed(html if isinstance(html, str) else html.decode())

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        self.tags.append(tag)
        self.loads += [value for name, value in known.items() if name in ("src", "href", "srcset", "background")]
        self.handlers += [name for name in known if name.startswith("on")]
        if tag == "table" and "id" in known:
            self._table = self.tables.setdefault(known["id"], [])
        elif tag == "tr" and self._table is not None:
            self._table.append([])
        elif tag == "td" and "band" in known.get("class", ""):
            self.tiles.append([])
            self._cell = self.tiles[-1]
        elif tag == "div" and self.tiles and self._cell is self.tiles[-1]:
            self._cell.append("")
        elif tag in ("td", "th") and self._table is not None:
            self._table[-1].append("")
            self._cell = self._table[-1]

    def handle_data(self, words):
        self.words += words
        if self._cell:
            self._cell[-1] += words

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell = None
        elif tag == "table":
            self._table = None


def squeezed(words: str) -> str:
    return re.sub(r"[\s\u200b\u00ad]+", "", words)


def pdf(body: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(BytesIO(body)).pages)


def sheets(body: bytes) -> dict[str, list[list]]:
    """The values of every sheet of a workbook, and no formula among them."""
    book = openpyxl.load_workbook(BytesIO(body))
    cells = [cell for sheet in book for row in sheet for cell in row]
    assert not any(cell.data_type == "f" or cell.hyperlink for cell in cells)
    return {sheet.title: [[cell.value for cell in row] for row in sheet] for sheet in book}


def table(body: bytes) -> list[list[str]]:
    """The rows of a CSV, whose lines end as RFC 4180 says."""
    text = body.decode()
    assert text.endswith("\r\n") and "\n" not in re.sub(r"\r\n", "", text)
    return list(csv.reader(StringIO(text, newline=""), strict=True))


def number(shown: str) -> tuple[Decimal, Decimal]:
    """(value, how far rounding may have taken it) of the first number in a text."""
    sign, digits, unit = NUMBER.search(shown).groups()
    scale, digits = SCALE.get(unit, Decimal(1)), digits.replace(",", "")
    places = len(digits.partition(".")[2])
    value = Decimal(digits) * scale * (-1 if sign in ("−", "-") else 1)
    return value, Decimal(10) ** -places * scale / 2


def numbers(shown: str) -> list[tuple[Decimal, Decimal]]:
    """Every number in a text."""
    return [number(found[0]) for found in NUMBER.finditer(shown)]


def columns(text: str, title: str) -> list[str]:
    """All that stands in each column of a table in a text, from top to bottom, without its head and without space."""
    lines = text.splitlines()
    lines = lines[lines.index(title.upper()) + 2 :]
    rule = next(at for at, line in enumerate(lines) if re.fullmatch(r"-+(  -+)*", line))
    body = lines[rule + 1 : lines.index("", rule)]
    spans = [found.span() for found in re.finditer("-+", lines[rule])]
    return [squeezed("".join(line[start:end] for line in body)) for start, end in spans]


def is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def agrees(shown: str, value: object) -> bool:
    """Whether a cell as a reader sees it is a value of the warehouse, within what its digits say."""
    if value is None or value == []:
        return shown == "–"
    if isinstance(value, bool):
        return shown == ("yes" if value else "no")
    if is_number(value):
        read, rounding = number(shown)
        return abs(read - Decimal(str(value))) <= rounding * Decimal("1.000001")
    if isinstance(value, datetime | date):
        return str(value.year) in shown
    if isinstance(value, list):
        return all(str(one) in shown for one in value)
    text = printable(str(value))
    words = re.sub(r"[_\s]+", "", text.removesuffix("_ms").replace("seconds", "time")).casefold()
    return words in squeezed(shown).casefold() or squeezed(text) in squeezed(shown)


def printable(text: str) -> str:
    """Text without what no report shows: characters that move a terminal's cursor, turn the line round or break it."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
