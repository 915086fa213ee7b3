"""Every figure of every format of every template is read back and equals the warehouse."""

import json
import re
from dataclasses import replace
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
from tests.reports.reading import (
    Page,
    agrees,
    columns,
    is_number,
    number,
    numbers,
    pdf,
    printable,
    sheets,
    squeezed,
    table,
)

BERLIN = ZoneInfo("Europe/Berlin")
EPOCH = datetime(1899, 12, 30)  # of a workbook


def taken(name: str, period: str = "2026-W10") -> snapshot.Snapshot:
    report = definitions.definition(name)
    return snapshot.take(definitions.asked(template.read(report.template), name, report, Period.named(period)))


def everything(name: str) -> Wanted:
    return Wanted(name, name, formats=("csv", "pdf", "xlsx"))


def made(name: str) -> Rendered:
    return render(everything(name), taken(name))


def truth(connection: psycopg.Connection, name: str, first: date, last: date) -> dict[str, list[dict]]:
    """The rows of a template's queries, asked by the test itself."""
    shape = template.read(name)
    known = dict.fromkeys(shape.parameters) | {"grain": "week", "first_day": first, "last_day": last}
    known |= {"metrics": shape.metrics, "lead": (shape.metrics or [None])[0], "sent": "[]", "reads": []}
    known |= {"is_of_all_metrics": shape.is_of_all_metrics}
    with connection.cursor(row_factory=dict_row) as cursor:
        return {query: cursor.execute(text, known).fetchall() for query, text in template.queries(name).items()}


def tables(name: str, rows: dict[str, list[dict]]) -> dict[str, tuple[list[str], list[list], int, str]]:
    """By query: columns, values, how many rows mail and PDF show, and the title, of every table of a template."""
    shape = template.read(name)
    specs = [*(template.standard().tables if shape.metrics else []), *shape.tables]
    found = {}
    for spec in specs:
        names = [column for column in spec.columns if any(row[column] is not None for row in rows[spec.of])]
        if rows[spec.of]:
            found[spec.of] = names, [[row[column] for column in names] for row in rows[spec.of]], spec.most, spec.title
    return found


def tiles(name: str, rows: dict[str, list[dict]]) -> list[tuple]:
    """(label, value, change) of each of the figures that are seen first."""
    shape = template.read(name)
    specs = [*(template.standard().tiles if shape.metrics else []), *shape.tiles]
    known = [(spec, row) for spec in specs for row in rows[spec.of][: spec.most] if row[spec.value] is not None]
    return [(row.get(spec.label, spec.label), row[spec.value], row.get(spec.change)) for spec, row in known][:4]


def plots(name: str, rows: dict[str, list[dict]]) -> list[tuple[list[list], list]]:
    """The rows that each chart draws, its axis first, and the values that are written beside its bars or its line."""
    shape, found = template.read(name), []
    for metric in shape.metrics:
        days = [[row["day"], row["value"]] for row in rows["daily"] if row["metric"] == metric]
        coming = [row for row in rows["forecast"] if row["metric"] == metric]
        drawn = [[*day, None, None, None] for day in days] if coming else days
        drawn += [[row["day"], None, row["yhat"], row["lo_95"], row["hi_95"]] for row in coming]
        final = [row["value"] for row in rows["daily"] if row["metric"] == metric and row["is_final"]]
        final = [value for value in final if value is not None]
        found += [(drawn, final[-1:])] if final else []
    for spec in shape.charts:
        known = [row for row in rows[spec.of] if row[spec.value] is not None]
        drawn_of = [spec.axis, spec.value, *([spec.beside] if spec.beside and spec.kind == "bars" else [])]
        drawn = [[row[column] for column in drawn_of] for row in known]
        drawn = drawn[: spec.most] if spec.kind == "bars" else drawn
        found += [(drawn, [row[1] for row in drawn[0 if spec.kind == "bars" else -1 :]])] if drawn else []
    return found


def agree(rendered: Rendered, name: str, rows: dict[str, list[dict]]) -> int:
    """Fail unless every figure in every format is the warehouse's; return how many cells of tables were compared."""
    page, book = Page(rendered.html), sheets(rendered.files["report.xlsx"])
    pages = pdf(rendered.files["report.pdf"])
    said_everywhere(rendered, page, squeezed(pages), book)
    drawn_right(plots(name, rows), book, pages)
    seen = tiles(name, rows)
    assert len(page.tiles) == len(seen)
    for shown, (label_, value, change) in zip(page.tiles, seen, strict=True):
        assert agrees(shown[0], label_) and agrees(shown[1], value), (shown, label_, value)
        assert len(shown) == 2 or agrees(shown[2], change), (shown, change)
        assert squeezed("".join(shown)) in squeezed(pages), shown
    compared = 0
    known = tables(name, rows)
    assert set(page.tables) == set(known), "tables are missing"
    for query, (names, values, most, title) in known.items():
        shown = page.tables[query][1:]
        assert len(shown) == min(len(values), most), query
        for cells, row in zip(shown, values, strict=False):
            assert all(agrees(cell, value) for cell, value in zip(cells, row, strict=True)), (query, cells, row)
            assert squeezed("".join(cells)) in squeezed(pages), (query, cells)
        in_text = [squeezed("".join(cells)) for cells in zip(*shown, strict=True)]
        assert columns(rendered.text, title) == in_text, query
        whole = table(rendered.files[f"{query}.csv"])
        in_book = book[label(query)[:31]]
        assert len(whole) == len(in_book) == len(values) + 1, query
        for line, cells, row in zip(whole[1:], in_book[1:], values, strict=True):
            for column, written, cell, value in zip(names, line, cells, row, strict=True):
                assert is_same_in_csv(written, value), (query, column, written, value)
                assert is_same_in_book(cell, value, column), (query, column, cell, value)
                compared += 1
    return compared


def said_everywhere(rendered: Rendered, page: Page, printed: str, book: dict[str, list[list]]) -> None:
    """Fail unless the manifest's sentences are what each format says, and the workbook has the values behind them."""
    sentences = rendered.manifest["sentences"]
    titles = len(rendered.images)
    for at, sentence in enumerate(sentences):
        words = squeezed(sentence["says"])
        assert words in squeezed(page.words) and words in printed, sentence["says"]
        if at < len(sentences) - titles:  # the text has no charts
            assert words in squeezed(rendered.text), sentence["says"]
            assert any(squeezed(str(cell)) == words for row in book["Report"] for cell in row), sentence["says"]
    facts = [(one["says"], fact) for one in sentences for fact in one["rests_on"]]
    for (said, fact), row in zip(facts, book["Behind the sentences"][1:], strict=True):
        assert row[:2] == [said, fact["shown"]] and row[3] == fact["from"], (row, fact)
        if is_figure(fact["value"]) and not isinstance(row[2], str):
            assert is_same_in_book(row[2], Decimal(fact["value"]), fact["from"]), (row, fact)


def drawn_right(expected: list[tuple[list[list], list]], book: dict[str, list[list]], pages: str) -> None:
    """Fail unless the workbook's charts are drawn from these rows, and the PDF's say the figures that are labelled."""
    left, read = 0, numbers(pages)
    for drawn, labelled in expected:
        width = len(drawn[0])
        for cells, row in zip(book["Chart data"][1:], drawn, strict=False):
            for cell, value in zip(cells[left : left + width], row, strict=True):
                is_text = isinstance(value, str)
                assert agrees(cell, value) if is_text else is_same_in_book(cell, value, "chart"), (cell, value)
        assert all(cell is None for row in book["Chart data"][len(drawn) + 1 :] for cell in row[left : left + width])
        left += width + 1
        for value in labelled:
            near = [abs(shown - Decimal(str(value))) <= rounding * Decimal("1.000001") for shown, rounding in read]
            assert any(near), value


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


@pytest.mark.parametrize(
    "name",
    ["seller", *(pytest.param(name, marks=pytest.mark.nightly) for name in template.names() if name != "seller")],
)
def test_a_figure_that_differs_is_found_in_every_format(published, week, name):
    """One figure of a table is another when a part of the report is made: whichever part that is, it is found."""
    rows, seen = truth(published, name, *week), taken(name)
    rendered = render(everything(name), seen)
    agree(rendered, name, rows)
    query, column = next(
        (query, column)
        for query, (names, values, *_) in tables(name, rows).items()
        for column, value in zip(names, values[0], strict=True)
        if is_number(value)
    )
    first, *others = seen.rows[query]
    changed = {query: [first | {column: 1357 + 2 * first[column]}, *others]}
    other = render(everything(name), replace(seen, rows=seen.rows | changed))
    parts = {"html": other.html, "text": other.text}
    files = ("report.pdf", "report.xlsx", f"{query}.csv")
    tampered = [replace(rendered, **{part: body}) for part, body in parts.items()]
    tampered += [replace(rendered, files=rendered.files | {file: other.files[file]}) for file in files]
    for one in tampered:
        with pytest.raises(AssertionError):
            agree(one, name, rows)
    for file in files:
        assert sha256(other.files[file]).hexdigest() != rendered.manifest["files"][file]["sha256"]


def test_a_figure_that_differs_in_a_sentence_a_tile_or_a_chart_is_found(published, week):
    rows, seen = truth(published, "seller", *week), taken("seller")
    rendered = render(everything("seller"), seen)
    agree(rendered, "seller", rows)
    first_finding = rendered.manifest["sentences"][1]
    figure = max((fact["shown"] for fact in first_finding["rests_on"] if is_figure(fact["value"])), key=len)
    tile = Page(rendered.html).tiles[0][1].strip()  # where a space may break
    for shown in (figure, tile):
        other = re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), shown, count=1)
        assert shown in rendered.html
        with pytest.raises(AssertionError):
            agree(replace(rendered, html=rendered.html.replace(shown, other)), "seller", rows)
    rows["sellers"][0]["volume_28d"] += Decimal("0.01")  # which the chart draws
    with pytest.raises(AssertionError):
        drawn_right(plots("seller", rows), sheets(rendered.files["report.xlsx"]), pdf(rendered.files["report.pdf"]))
    rests(rendered, truth(published, "seller", *week))
    lied = json.loads(json.dumps(rendered.manifest).replace(json.dumps(figure)[1:-1], "9" + json.dumps(figure)[1:-1]))
    with pytest.raises(AssertionError):
        rests(replace(rendered, manifest=lied), truth(published, "seller", *week))


def test_a_gate_holds_the_reports_whose_figures_are_made_from_its_table_and_no_others(published, hold):
    for relation, above in {
        "marts.learners": {"class", "learning"},
        "marts.sales_hourly": {"executive", "shop"},  # whose converted revenue explains the revenue
    }.items():
        hold(relation)
        assert {name for name in template.names() if taken(name).held} == above
        published.execute("delete from ops.gate_results where run_id = 'run'")


def test_who_withdrew_their_consent_to_reports_is_in_no_list_of_people(published):
    (worst,), (other,) = published.execute(
        "select user_id from api.learners order by is_struggling desc, average_score, user_id limit 2"
    ).fetchall()
    assert worst in made("class").text
    (active,) = published.execute(
        """select name from api.learning_periods
           where scope = 'learner' and grain = 'week' and start_date = '2026-03-02' order by activities desc limit 1"""
    ).fetchone()

    def of_a_learner(user: str) -> snapshot.Snapshot:
        asked = definitions.asked(template.read("learning"), "learning", definitions.definition("learning"))
        return snapshot.take(replace(asked, period=Period.named("2026-W10"), parameters=(("learner", user),)))

    assert len(of_a_learner(active).rows["overview"]) == 1
    for user in {worst, active}:
        published.execute(
            "insert into raw.consents values ('native', %s, %s, 'reports', false, '2026-03-01 10:00+00', 1)", [user] * 2
        )
    for name in ("class", "learning"):
        rows = repr(taken(name).rows)
        assert repr(worst) not in rows and (repr(other) in rows or other == active)
    assert published.execute("select count(*) from api.leaderboard where user_id = %s", [worst]).fetchone() == (0,)
    assert render(Wanted("learning", "learning", formats=()), of_a_learner(active)).held


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


def test_figures_and_dates_are_those_of_their_readers_locale(published):
    report = definitions.definition("seller")
    seen = snapshot.take(definitions.asked(template.read("seller"), "seller", report, Period.named("2026-W10")))
    english, german = (render(Wanted("seller", "seller", locale), seen) for locale in ("en", "de_DE"))
    (shown,) = re.findall(r"sold for EUR ([\d,.]+) in", english.text)[:1]
    assert f"sold for EUR {shown.translate({44: 46, 46: 44})} in" in german.text
    assert "(2–8 March 2026)" in english.subject and "(2.–8. März 2026)" in german.subject
    assert "March" in english.text and "March" not in german.text and "März" in pdf(german.files["report.pdf"])


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
