"""Every figure of every format is read back and equals the warehouse; what must be said is said, in all of them."""

import json
import re
from decimal import Decimal
from hashlib import sha256
from html.parser import HTMLParser
from io import BytesIO

import psycopg
import pypdf
import pytest

from orchestration.errors import TidemarkError
from orchestration.reports import definitions, figures
from orchestration.reports.render import render
from orchestration.reports.snapshot import take
from orchestration.reports.templates.executive import content

NUMBER = re.compile(r"([+−]?)(\d[\d,]*(?:\.\d+)?)[ \u00a0]?(%|h\b|min\b|ms\b)?")
SCALE = {"%": Decimal("0.01"), "h": Decimal(3600), "min": Decimal(60)}


class Page(HTMLParser):
    """What a reader sees of an HTML page, what a browser would load for it, and the rows of its tables of figures."""

    def __init__(self, html: bytes | str):
        super().__init__()
        self.tags, self.loads, self.words, self.rows = [], [], "", []
        self._is_figures = False
        self.feed(html if isinstance(html, str) else html.decode())

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        self.tags.append(tag)
        self.loads += [value for name, value in known.items() if name in ("src", "href", "srcset", "background")]
        if tag == "table":
            self._is_figures = "id" in known
        elif tag == "tr":
            self.rows += [""] if self._is_figures else []

    def handle_data(self, words):
        self.words += words
        if self._is_figures and self.rows:
            self.rows[-1] += f"{words} "

    def handle_endtag(self, tag):
        self._is_figures &= tag != "table"


def lines(file: str, body: bytes) -> list[str]:
    """The lines of one format, and of its HTML the rows of figures."""
    if file == "report.pdf":
        found = "\n".join(page.extract_text() for page in pypdf.PdfReader(BytesIO(body)).pages).splitlines()
    elif file == "report.html":
        found = Page(body).rows
    else:
        found = body.decode().splitlines()
    return [" ".join(line.split()) for line in found]


def words(file: str, body: bytes) -> str:
    """All words of one format, as its reader sees them."""
    return " ".join((Page(body).words if file == "report.html" else " ".join(lines(file, body))).split())


def facts(connection: psycopg.Connection) -> list[tuple[str, list]]:
    """(how a line begins, the figures that follow) for every line of figures, straight from the warehouse."""
    found = [
        (figures.label(metric) + (" a day" if adds_up == "distinct" else ""), values)
        for metric, adds_up, *values in connection.execute(
            """select metric, adds_up, value_7d, previous_7d, change_rate
               from api.executive_summary join api.metrics using (metric)"""
        )
    ]
    found += [
        (f"{figures.label(metric)} {moment}", values)
        for moment, metric, *values in connection.execute(
            """select to_char(ds at time zone 'Europe/Berlin', 'Dy FMDD Mon, HH24:MI'), series_id, value, lo, hi
               from api.anomalies where ds >= '2026-03-01 23:00+00' and series_id not like '%|%'"""
        )
    ]
    received = connection.execute("select received, loaded, duplicate, quarantined from raw.loads where load_id = 12")
    found += zip(["Received", "Loaded", "Duplicate", "Refused"], [[n] for n in received.fetchone()], strict=True)
    found += [
        (reason, [count])
        for reason, count in connection.execute("select reason, count(*) from raw.quarantine group by reason")
    ]
    for name, version, metrics in connection.execute("select name, version, metrics from api.models"):
        measure = f"{metrics['measure']}, {metrics['better']} is better"
        found.append((f"{figures.label(name)} {version} {measure}", [metrics["value"], metrics["baseline"]]))
    return found


def numbers(words: str) -> list[tuple[Decimal, Decimal]]:
    """(value, how far rounding may have taken it) of every number in a line."""
    found = []
    for sign, digits, unit in NUMBER.findall(words):
        scale, digits = SCALE.get(unit, Decimal(1)), digits.replace(",", "")
        value = Decimal(digits) * scale * (-1 if sign == "−" else 1)
        found.append((value, Decimal(10) ** -len(digits.partition(".")[2]) * scale / 2))
    return found


def agree(shown: list[str], connection: psycopg.Connection) -> None:
    """Fail unless every line of figures is there, with the warehouse's figures."""
    for beginning, expected in facts(connection):
        line = next((line for line in shown if re.match(re.escape(beginning) + r" [^a-z]*\d", line)), None)
        assert line, f"no line of {beginning}"
        read = numbers(line[len(beginning) :])
        assert len(read) == len(expected), line
        for (value, rounding), truth in zip(read, expected, strict=True):
            assert abs(value - Decimal(str(truth))) <= rounding * Decimal("1.000001"), (line, truth)


@pytest.fixture
def rendered(published):
    return render("executive", published)


def test_every_figure_is_the_warehouses(rendered, published):
    assert len(facts(published)) > 30
    for file, body in rendered.files.items():
        agree(lines(file, body), published)


def test_a_figure_that_differs_is_found(rendered, published):
    published.execute("update api.metric_daily set value = value * 1.002 where metric = 'units' and day = '2026-03-04'")
    for file, body in rendered.files.items():
        with pytest.raises(AssertionError, match="Units"):
            agree(lines(file, body), published)


@pytest.mark.parametrize("file", ["report.txt", "report.html"])
def test_a_tampered_file_is_found(rendered, published, file):
    body = rendered.files[file].replace(b"16,577", b"16,578")
    assert sha256(body).hexdigest() != rendered.manifest["files"][file]["sha256"]
    with pytest.raises(AssertionError, match="Received"):
        agree(lines(file, body), published)


def test_no_sentence_without_its_figure(published):
    """Every number in a finding, an action or a chart's title is one of the warehouse's."""
    document = content.document(take(definitions.queries("executive"), published))
    known = [Decimal(str(value)) for _, values in facts(published) for value in values]
    rows = published.execute("select yhat, lo_80, hi_80 from api.forecasts").fetchall()
    known += [Decimal(str(value)) for row in rows for value in row]
    shares = ["0.8", "0.8131"]  # of the interval, and of the days that it held
    counts = [7, 3, 4, 2, 1, 137]  # days, unusual hours, refused records, and incidents: all, open, their number
    known += [Decimal(value) for value in (*shares, *counts)]
    details = [detail for (detail,) in published.execute("select detail from ops.incidents")]
    for sentence in [*document.findings, *document.actions, *(chart.title for chart in document.charts)]:
        for detail in details:
            sentence = sentence.replace(detail, "")
        plain = re.sub(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d+ \w+(, \d\d:\d\d)?|p95", "", sentence)
        found = numbers(plain)
        assert found, sentence
        for value, rounding in found:
            assert any(abs(abs(truth) - value) <= rounding * Decimal("1.000001") for truth in known), (sentence, value)


def test_the_first_finding_and_the_subject_are_the_revenue(rendered, published):
    now, before = published.execute(
        """select sum(value) filter (where day between '2026-03-02' and '2026-03-08'),
                  sum(value) filter (where day between '2026-02-23' and '2026-03-01')
           from api.metric_daily where metric = 'revenue'"""
    ).fetchone()
    verb = "rose" if now > before else "fell"
    headline = f"Revenue {verb} {abs(now / before - 1) * 100:.1f} % to EUR {now:,.0f}"
    assert rendered.subject == f"Tidemark Demo: {headline} (2–8 March 2026)"
    first = f"- {headline} in the seven days up to Sun 8 March, from EUR {before:,.0f} in the seven days before."
    assert first in re.sub(r"\n  ", " ", rendered.text)


def test_what_is_held_back_is_said_in_every_format(rendered, published, hold):
    assert "held back" not in rendered.text.lower()
    hold()
    held = render("executive", published)
    for file, body in held.files.items():
        said = words(file, body)
        assert "figures are held back" in said.lower()
        assert "Since Mon 9 March 2026, 06:10 CET, at load 13: marts.shop_hourly: 3 rows have a negative price." in said
        agree(lines(file, body), published)  # what was published before is still shown
    assert held.subject == "Tidemark Demo: Figures are held back (2–8 March 2026)"
    assert len(held.held) == 1 and held.manifest["held"][0]["table_name"] == "marts.shop_hourly"


HOSTILE = (
    """<script>alert(1)</script><img src=x onerror=alert(1)> #import "@preview/evil:1.0.0": * $x$ {{7*7}} `a` = """
)


def test_hostile_words_are_words(published, hold):
    """Whatever an event or a gate says is shown as it is, and is no markup in any format."""
    published.execute("update ops.incidents set detail = %s", [HOSTILE + "x" * 300 + "=cmd|' /C calc'!A0"])
    published.execute("update raw.quarantine set reason = %s", [HOSTILE])
    hold(HOSTILE)
    rendered = render("executive", published)
    page = Page(rendered.html)
    assert {"script", "iframe", "object", "form", "link"}.isdisjoint(page.tags)
    assert page.tags.count("img") == len(rendered.images)
    for file, body in rendered.files.items():
        squeezed = re.sub(r"[\s\u200b]+", "", words(file, body))
        assert squeezed.count(re.sub(r"\s+", "", HOSTILE)) >= 2, file
        assert "x" * 300 in squeezed  # a word without end is broken, not cut


def test_the_mails_html_loads_nothing_from_anywhere(rendered):
    page = Page(rendered.html)
    assert page.loads and all(address.startswith("cid:") for address in page.loads)
    assert {address.removeprefix("cid:") for address in page.loads} == set(rendered.images)
    assert "url(" not in rendered.html and "@import" not in rendered.html and "script" not in page.tags
    kept = Page(rendered.files["report.html"]).loads
    assert len(kept) == len(page.loads) and all(address.startswith("data:image/png;base64,") for address in kept)


def test_the_html_is_short_enough_to_be_shown_whole(rendered):
    """Gmail cuts a message at 102 kB of HTML."""
    assert len(rendered.html.encode()) < 90_000
    assert all(png.startswith(b"\x89PNG") and len(png) > 5_000 for png in rendered.images.values())


def test_the_pdf_has_pages_with_numbers_and_words(rendered, published):
    reader = pypdf.PdfReader(BytesIO(rendered.files["report.pdf"]))
    pages = [page.extract_text() for page in reader.pages]
    assert all(f"Page {number} of {len(pages)}" in page for number, page in enumerate(pages, start=1))
    assert reader.metadata.title == "Executive summary, 2–8 March 2026"
    query = "select value from api.metric_daily where metric = 'revenue' and day = '2026-03-08'"
    (revenue,) = published.execute(query).fetchone()
    assert figures.figure(revenue, "money", "EUR") in pages[0]  # a figure within a chart can be selected
    assert not any(page.images for page in reader.pages)  # charts are drawn, not pasted


def test_a_table_that_goes_on_repeats_its_head_and_is_not_cut(published):
    published.execute("update raw.quarantine set reason = 'reason_' || lpad(position::text, 3, '0')")
    rendered = render("executive", published)
    pages = [page.extract_text() for page in pypdf.PdfReader(BytesIO(rendered.files["report.pdf"])).pages]
    listing = [page for page in pages if re.search(r"reason_\d{3} 1\b", page)]
    assert len(listing) >= 2 and all("Records Number" in page for page in listing)
    assert len(set(re.findall(r"reason_\d{3}", " ".join(pages)))) == 137


def test_the_same_snapshot_gives_the_same_bytes(rendered, published):
    again = render("executive", published)
    assert again.files == rendered.files and again.images == rendered.images and again.html == rendered.html


def test_the_manifest_names_what_the_report_rests_on(rendered):
    manifest = json.loads(json.dumps(rendered.manifest))
    assert manifest["period"] == {"name": "2026-W10", "first_day": "2026-03-02", "last_day": "2026-03-08"}
    assert manifest["timezone"] == "Europe/Berlin" and manifest["not_final"] == ["2026-03-09"]
    assert manifest["tide_marks"]["views.metric_daily"]["load_id"] == 12
    assert not any(table.startswith("gate:") for table in manifest["tide_marks"])
    assert manifest["rows"]["summary"] == 19 and manifest["rows"]["forecast"] == 14
    assert {file: entry["sha256"] for file, entry in manifest["files"].items()} == {
        file: sha256(body).hexdigest() for file, body in rendered.files.items()
    }


def test_what_is_not_final_is_marked(published):
    published.execute("update api.metric_daily set is_final = false where metric = 'orders' and day = '2026-03-07'")
    text = render("executive", published).text
    assert "Orders a day*" in text and "* Not final" in re.sub(r"\s+", " ", text)


def test_before_the_first_training_the_report_has_no_forecast_and_says_nothing_of_one(published):
    published.execute("drop view api.forecasts, api.anomalies, api.models")
    rendered = render("executive", published)
    assert rendered.manifest["rows"]["forecast"] is None
    assert "forecast" not in rendered.text and "unusual" not in rendered.text.lower()
    assert len(rendered.images) == 9


def test_a_metric_without_a_day_has_no_chart(published):
    published.execute("delete from api.metric_daily where metric = 'rooms_matched'")
    rendered = render("executive", published)
    assert len(rendered.images) == 8 and not any("rooms_matched" in cid for cid in rendered.images)


def test_an_unknown_report_is_told_with_the_known_ones(published):
    with pytest.raises(TidemarkError, match=r"There is no report 'exec' .* it has: executive"):
        render("exec", published)
