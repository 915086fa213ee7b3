"""Every figure of every format of every template is read back and equals the warehouse."""

import json
import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from io import BytesIO
from zoneinfo import ZoneInfo

import openpyxl
import psycopg
import pypdf
import pytest
from psycopg.rows import dict_row

from orchestration.reports import definitions, snapshot, template
from orchestration.reports.figures import label
from orchestration.reports.render import Rendered, Wanted, render
from orchestration.reports.snapshot import Period
from tests.reports.reading import Page, agrees, is_number, number, pdf, printable, sheets, squeezed, table

BERLIN = ZoneInfo("Europe/Berlin")
EPOCH = datetime(1899, 12, 30)  # of a workbook


def made(name: str, period: str = "2026-W10") -> Rendered:
    report = definitions.definition(name)
    shape = template.read(report.template)
    seen = snapshot.take(definitions.asked(shape, report.template, report, Period.named(period)))
    return render(Wanted(name, report.template, formats=("csv", "pdf", "xlsx")), seen)


def truth(connection: psycopg.Connection, name: str, first: date, last: date) -> dict[str, list[dict]]:
    """The rows of a template's queries, asked by the test itself."""
    shape = template.read(name)
    known = dict.fromkeys(shape.parameters) | {"grain": "week", "first_day": first, "last_day": last}
    known |= {"metrics": shape.metrics, "lead": (shape.metrics or [None])[0], "sent": "[]", "reads": []}
    known |= {"is_of_all_metrics": shape.is_of_all_metrics}
    with connection.cursor(row_factory=dict_row) as cursor:
        return {query: cursor.execute(text, known).fetchall() for query, text in template.queries(name).items()}


def tables(name: str, rows: dict[str, list[dict]]) -> dict[str, tuple[list[str], list[list], int]]:
    """By query: the columns, the values and how many rows mail and PDF show, for every table of a template."""
    shape = template.read(name)
    specs = [*(template.standard().tables if shape.metrics else []), *shape.tables]
    found = {}
    for spec in specs:
        columns = [column for column in spec.columns if any(row[column] is not None for row in rows[spec.of])]
        if rows[spec.of]:
            found[spec.of] = columns, [[row[column] for column in columns] for row in rows[spec.of]], spec.most
    return found


def agree(rendered: Rendered, name: str, rows: dict[str, list[dict]]) -> int:
    """Fail unless every table of every format holds the warehouse's values; return how many cells were compared."""
    page, printed, book = (
        Page(rendered.html),
        squeezed(pdf(rendered.files["report.pdf"])),
        sheets(rendered.files["report.xlsx"]),
    )
    text, compared = rendered.text, 0
    known = tables(name, rows)
    assert set(page.tables) == set(known), "tables are missing"
    for query, (columns, values, most) in known.items():
        shown = page.tables[query][1:]
        assert len(shown) == min(len(values), most), query
        for cells, row in zip(shown, values, strict=False):
            assert all(agrees(cell, value) for cell, value in zip(cells, row, strict=True)), (query, cells, row)
            assert squeezed("".join(cells)) in printed, (query, cells)
            figures = [cell for cell, value in zip(cells, row, strict=True) if is_number(value)]
            assert all(figure.replace("\u00a0", " ").split()[-1] in text for figure in figures), (query, figures)
        whole = table(rendered.files[f"{query}.csv"])
        in_book = book[label(query)[:31]]
        assert len(whole) == len(in_book) == len(values) + 1, query
        for line, cells, row in zip(whole[1:], in_book[1:], values, strict=True):
            for column, written, cell, value in zip(columns, line, cells, row, strict=True):
                assert is_same_in_csv(written, value), (query, column, written, value)
                assert is_same_in_book(cell, value, column), (query, column, cell, value)
                compared += 1
    return compared


def is_same_in_csv(written: str, value: object) -> bool:
    if value is None or value == []:
        return written == ("" if value is None else "–")
    if isinstance(value, bool):
        return written == str(value).lower()
    if is_number(value):
        return Decimal(written) == Decimal(str(value))
    if isinstance(value, datetime):
        return datetime.fromisoformat(written) == value and datetime.fromisoformat(written).utcoffset() is not None
    if isinstance(value, date):
        return written == value.isoformat()
    return printable(written) in (printable(as_text(value)), f"'{printable(as_text(value))}")


def is_same_in_book(cell: object, value: object, column: str) -> bool:
    if value is None or value == []:
        return cell in (None, "–")
    if isinstance(value, bool):
        return cell is value
    if isinstance(value, datetime):
        return abs(cell - value.astimezone(BERLIN).replace(tzinfo=None)) < timedelta(seconds=1)
    if isinstance(value, date):
        return cell.date() == value
    if is_number(value):
        if isinstance(cell, datetime | timedelta):  # a duration
            cell = (cell if isinstance(cell, timedelta) else cell - EPOCH).total_seconds()
            return abs(cell - float(value)) < 1
        return cell == pytest.approx(float(value), rel=1e-12) or cell * 86400 == pytest.approx(float(value))
    return printable(cell) in (printable(as_text(value)), label(as_text(value)))


def as_text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def rests(rendered: Rendered, rows: dict[str, list[dict]]) -> None:
    """Fail unless each sentence's figures are values of the rows it names, and it has no digit besides."""
    literals = set(re.findall(r"\d+", json.dumps([template.read(rendered.manifest["template"]).model_dump()])))
    literals |= set(re.findall(r"\d+", template.standard().model_dump_json()))
    days = rendered.subject.rpartition("(")[2].rstrip(")")
    for sentence in rendered.manifest["sentences"]:
        left = sentence["says"].replace(days, "")
        assert any(is_figure(fact["value"]) for fact in sentence["rests_on"]), sentence
        for fact in sorted(sentence["rests_on"], key=lambda fact: -len(fact["shown"])):
            if "." in fact["from"] and "[" in fact["from"]:
                query, at, column = re.fullmatch(r"(\w+)\[(\d+)\]\.(\w+)", fact["from"]).groups()
                value = rows[query][int(at)][column]
                if is_number(value) and re.search(r"\d", fact["shown"]):
                    read, rounding = number(fact["shown"])
                    assert abs(abs(read) - abs(Decimal(str(value)))) <= rounding * Decimal("1.000001"), fact
            assert fact["shown"] in left or fact["shown"] in sentence["says"], (fact, sentence["says"])
            left = re.sub(rf"(?<!\d){re.escape(fact['shown'])}(?!\d)", " ", left)
        assert set(re.findall(r"\d+", left)) <= literals, left


def is_figure(value: str | None) -> bool:
    try:
        return value is not None and Decimal(value) is not None
    except ArithmeticError:
        return False


@pytest.fixture
def week() -> tuple[date, date]:
    return date(2026, 3, 2), date(2026, 3, 8)


@pytest.mark.parametrize("name", template.names())
def test_every_figure_is_the_warehouses_and_every_sentence_rests_on_one(published, name, week):
    rendered, rows = made(name), truth(published, name, *week)
    assert rendered.held == []
    assert agree(rendered, name, rows) > 0
    rests(rendered, rows)
    page = Page(rendered.html)
    assert all(address.startswith("cid:") for address in page.loads)
    assert {address.removeprefix("cid:") for address in page.loads} == set(rendered.images)
    assert page.handlers == [] and {"script", "iframe", "object", "form", "link"}.isdisjoint(page.tags)
    assert len(rendered.html.encode()) < 100_000  # Gmail cuts a message at 102 kB
    pages = pypdf.PdfReader(BytesIO(rendered.files["report.pdf"])).pages
    for at, printed in enumerate(pages, start=1):
        assert f"Page {at} of {len(pages)}" in printed.extract_text()
        assert not printed.images  # charts are drawn, not pasted
    book = openpyxl.load_workbook(BytesIO(rendered.files["report.xlsx"]))
    assert len(book["Charts"]._charts if "Charts" in book.sheetnames else []) == len(rendered.images)
    for sheet in book:
        if sheet.title in {label(query)[:31] for query in tables(name, rows)}:
            assert sheet.freeze_panes == "B2" and sheet.auto_filter.ref
    totals = rendered.manifest["control_totals"]
    for query, known in rows.items():
        assert rendered.manifest["rows"][query] == len(known)
        for column, total in totals.get(query, {}).items():
            assert Decimal(total) == sum(Decimal(str(row[column])) for row in known if row[column] is not None)


def test_a_figure_that_differs_is_found_in_every_format(published, week):
    rendered, rows = made("seller"), truth(published, "seller", *week)
    agree(rendered, "seller", rows)
    shown = Page(rendered.html).tables["sellers"][1][4]
    for file in ("html", "sellers.csv"):
        tampered = made("seller")
        if file == "html":
            body = tampered.html.replace(f">{shown}</td>", f">{int(shown) + 1}</td>", 1)
            tampered = replace_part(tampered, html=body)
        else:
            body = re.sub(rb"(?m)^([^\r\n]*?,)(\d+)(,)", rb"\g<1>9\g<2>\g<3>", tampered.files[file])
            tampered = replace_part(tampered, files=tampered.files | {file: body})
            assert sha256(body).hexdigest() != tampered.manifest["files"][file]["sha256"]
        with pytest.raises(AssertionError):
            agree(tampered, "seller", rows)
    rows["sellers"][0]["volume_28d"] += Decimal("0.01")
    with pytest.raises(AssertionError):
        agree(rendered, "seller", rows)


def replace_part(rendered: Rendered, **parts) -> Rendered:
    from dataclasses import replace

    return replace(rendered, **parts)


def test_hostile_words_are_words(published, hold):
    """Whatever an event or a gate says is shown as it is, and is no markup, formula or header in any format."""
    from tests.reports.conftest import HOSTILE

    rendered = made("content")
    page, printed = Page(rendered.html), squeezed(pdf(rendered.files["report.pdf"]))
    assert {"script", "svg", "iframe", "object", "form", "link", "b"}.isdisjoint(page.tags) and page.handlers == []
    assert page.tags.count("img") == len(rendered.images)
    gaps = table(rendered.files["gaps.csv"])
    cells = {cell for rows in sheets(rendered.files["report.xlsx"]).values() for row in rows for cell in row}
    for words in (printable(words).lower() for words in HOSTILE):  # as what was searched for is kept
        assert squeezed(words) in squeezed(page.words), words
        assert squeezed(words) in printed, words
        assert words in cells
        assert any(row[1] in (words, f"'{words}") for row in gaps), words
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in gaps for cell in row if not is_figure(cell))
    assert all(letter.isprintable() or letter == "\n" for letter in rendered.text)
    assert "\n" not in rendered.subject and "\r" not in rendered.subject
    hold("marts.content_hourly", HOSTILE[5])
    held = made("content")
    notice = Page(held.html)
    assert held.held and squeezed(HOSTILE[5]) in squeezed(notice.words) and "script" not in notice.tags


def test_the_same_snapshot_gives_the_same_bytes_also_from_what_was_kept(published):
    report = definitions.definition("shop")
    seen = snapshot.take(definitions.asked(template.read("shop"), "shop", report, Period.named("2026-W10")))
    wanted = Wanted("shop", "shop", formats=("csv", "pdf", "xlsx"))
    first, again = render(wanted, seen), render(wanted, snapshot.Snapshot.load(seen.dump()))
    assert first.files == again.files and first.images == again.images and first.manifest == again.manifest


def test_figures_wear_the_marks_of_their_readers_locale(published):
    report = definitions.definition("seller")
    seen = snapshot.take(definitions.asked(template.read("seller"), "seller", report, Period.named("2026-W10")))
    english, german = (render(Wanted("seller", "seller", locale), seen) for locale in ("en", "de_DE"))
    (shown,) = re.findall(r"sold for EUR ([\d,.]+) in", english.text)[:1]
    assert f"sold for EUR {shown.translate({44: 46, 46: 44})} in" in german.text


def test_the_manifest_names_what_the_report_rests_on(published):
    rendered = made("executive")
    manifest = json.loads(json.dumps(rendered.manifest))
    assert manifest["period"] == {"name": "2026-W10", "first_day": "2026-03-02", "last_day": "2026-03-08"}
    assert manifest["timezone"] == "Europe/Berlin"
    assert manifest["tide_marks"]["views.metric_daily"]["load_id"] > 30
    assert not any(name.startswith("gate:") for name in manifest["tide_marks"])
    assert {file: entry["sha256"] for file, entry in manifest["files"].items()} == {
        file: sha256(body).hexdigest() for file, body in rendered.files.items()
    }
    revenue = next(one for one in manifest["told"] if one["metric"] == "revenue")
    query = "select value from api.metric_period where (metric, segment, start_date) = ('revenue', 'all', %s)"
    assert Decimal(revenue["value"]) == published.execute(query, [date(2026, 3, 2)]).fetchone()[0]
