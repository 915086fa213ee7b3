"""From a snapshot to the parts of a report: text, HTML, PDF, workbook, CSV, manifest. Nothing is written or sent."""

import json
import platform
import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cache, partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.reports import charts, checks, facts, figures, plain, sheets, template
from orchestration.reports.content import Content, NoData
from orchestration.reports.document import Document, Notice, Sentence, Table
from orchestration.reports.figures import Form
from orchestration.reports.snapshot import Period, Snapshot

if TYPE_CHECKING:
    import jinja2
    import typst

LAYOUTS = Path(__file__).parent / "layouts"
LONG_WORD = re.compile(r"\S{24}")


@dataclass(frozen=True)
class Rendered:
    """A finished report, or the notice that takes its place: the parts of its mail, and the files kept of it."""

    name: str
    subject: str
    period: Period
    text: str
    html: str  # names its pictures as `cid:` and a key of `images`
    images: dict[str, bytes]
    files: dict[str, bytes]  # report.txt, report.html (its pictures inside), report.pdf, report.xlsx, TABLE.csv
    held: list[str]  # why the report itself is not there; empty when it is
    manifest: dict


@dataclass(frozen=True)
class Wanted:
    """In which form one reader wants which report."""

    name: str
    template: str
    locale: str = "en"
    formats: tuple[str, ...] = ("pdf",)
    only_final: bool = False


def render(wanted: Wanted, seen: Snapshot) -> Rendered:
    """Make a report of a snapshot, or the notice that it is held back and why.

    The same snapshot gives the same files: none holds the time it was made.
    """
    form = Form(seen.zone, seen.currency, wanted.locale)
    reasons = checks.of_snapshot(seen, form, only_final=wanted.only_final)
    if not reasons:
        try:
            document = Content(template.read(wanted.template), seen, form).document()
            reasons = checks.of_document(document)
        except NoData as error:
            reasons = [f"{error}.".capitalize()]
    return _notice(wanted, seen, form, reasons) if reasons else _report(wanted, seen, form, document)


def _report(wanted: Wanted, seen: Snapshot, form: Form, document: Document) -> Rendered:
    pictures = _draw(document, is_printed="pdf" in wanted.formats)
    words = {"document": document, "tenant": seen.tenant, "period": _days(seen.period, form)}
    cids = {chart: f"{chart}@{wanted.name}.{seen.period.name}.tidemark" for chart in pictures}
    html = _layout("report.html.j2").render(**words, images=cids)
    text = _layout("report.txt.j2").render(**words).replace(figures.NBSP, " ")
    images = {cids[chart]: png for chart, (png, _) in pictures.items()}
    attached = _attachments(wanted, seen, form, document, {chart: svg for chart, (_, svg) in pictures.items()})
    kept = {"report.txt": text.encode(), "report.html": _with_pictures_inside(html, images).encode()}
    return Rendered(
        name=wanted.name,
        subject=_subject(seen, document.headline.text, form),
        period=seen.period,
        text=text,
        html=html,
        images=images,
        files=kept | attached,
        held=[],
        manifest=_manifest(wanted, seen, kept | attached) | _said(document, seen),
    )


def _days(period: Period, form: Form) -> str:
    return form.days(period.first, period.last)


def _subject(seen: Snapshot, finding: str, form: Form) -> str:
    return f"{seen.tenant}: {finding} ({_days(seen.period, form)})".replace(figures.NBSP, " ")


def _attachments(
    wanted: Wanted, seen: Snapshot, form: Form, document: Document, drawn: dict[str, str]
) -> dict[str, bytes]:
    """The files that a reader asked for; each kind is made only if somebody did."""
    about = {
        "Report": document.title,
        "Of": seen.tenant,
        "Period": _days(seen.period, form),
        "Time zone": form.zone.key,
    }
    made_at = _end(seen)
    makers = {
        "pdf": lambda: {"report.pdf": _pdf(document, seen, drawn, form)},
        "xlsx": lambda: {"report.xlsx": sheets.workbook(document, form, about, made_at)},
        "csv": lambda: {f"{shown.name}.csv": sheets.tables(shown, form) for shown in document.tables},
    }
    return {file: body for kind in sorted(set(wanted.formats)) for file, body in makers[kind]().items()}


def _end(seen: Snapshot) -> datetime:
    """The end of the period: what files are dated."""
    return datetime.combine(seen.period.last + timedelta(days=1), time(), seen.zone)


def _notice(wanted: Wanted, seen: Snapshot, form: Form, reasons: list[str]) -> Rendered:
    """What is said instead of figures that cannot be stood for."""
    title = f"{template.read(wanted.template).title}: figures are held back"
    notice = Notice(title, reasons, "No figures are sent meanwhile. The report follows when they can be stood for.")
    words = {"notice": notice, "tenant": seen.tenant, "period": _days(seen.period, form)}
    html = _layout("notice.html.j2").render(**words)
    text = _layout("notice.txt.j2").render(**words).replace(figures.NBSP, " ")
    files = {"notice.txt": text.encode(), "notice.html": html.encode()}
    return Rendered(
        name=wanted.name,
        subject=_subject(seen, title, form),
        period=seen.period,
        text=text,
        html=html,
        images={},
        files=files,
        held=reasons,
        manifest=_manifest(wanted, seen, files) | {"withheld": reasons},
    )


def _draw(document: Document, *, is_printed: bool) -> dict[str, tuple[bytes, str]]:
    """PNG for the mail and, where somebody wants it, SVG for the PDF of every chart."""
    pictures = {}
    with charts.style():
        for chart in document.charts:
            figure = chart.draw()
            pictures[chart.name] = charts.png(figure), charts.svg(figure) if is_printed else ""
    return pictures


@cache
def _layout(name: str) -> "jinja2.Template":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(LAYOUTS),
        autoescape=lambda layout: layout.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(paragraph=plain.paragraph, table=plain.table, breakable=_breakable)
    return environment.get_template(name)


def _breakable(words: object) -> str:
    """Text in which a word that no column could hold may break."""
    return LONG_WORD.sub("\\g<0>\u200b", str(words))


def _with_pictures_inside(html: str, images: dict[str, bytes]) -> str:
    for cid, png in images.items():
        html = html.replace(f"cid:{cid}", f"data:image/png;base64,{b64encode(png).decode()}")
    return html


def _pdf(document: Document, seen: Snapshot, pictures: dict[str, str], form: Form) -> bytes:
    """A tagged, accessible PDF (PDF/UA-1), dated at the end of the report's last day."""
    return typeset(document, seen, pictures, form)(format="pdf", pdf_standards=["ua-1"])


def typeset(document: Document, seen: Snapshot, pictures: dict[str, str], form: Form) -> partial:
    """The print engine with a report in it: called with a format, it gives the pages as such."""
    import typst

    report = {
        "title": document.title,
        "tenant": seen.tenant,
        "period": _days(seen.period, form),
        "paper": "us-letter" if form.locale.endswith(("_US", "_CA")) else "a4",
        "headline": document.headline.text,
        "findings": [said.text for said in document.findings],
        "actions": [said.text for said in document.actions],
        "tiles": [
            {
                "label": tile.label,
                "value": tile.value.text,
                "change": tile.change.text if tile.change else "",
                "tone": tile.change.tone if tile.change else "plain",
            }
            for tile in document.tiles
        ],
        "charts_note": document.charts_note,
        "charts": [
            {
                "title": chart.title.text,
                "subtitle": chart.subtitle,
                "alt": chart.alt,
                "is_wide": chart.is_wide,
                "svg": pictures[chart.name],
            }
            for chart in document.charts
        ],
        "tables": [_printed(shown) for shown in document.tables],
        "notes": document.notes,
    }
    return partial(
        typst.compile,
        LAYOUTS / "report.typ",
        root=LAYOUTS,
        font_paths=_fonts(),
        sys_inputs={"report": json.dumps(report)},
        timestamp=int(_end(seen).timestamp()),
    )


def _printed(shown: Table) -> dict:
    return {
        "title": shown.title,
        "heads": [[column.label, column.is_figure] for column in shown.columns],
        "rows": [[{"text": fact.text, "tone": fact.tone} for fact in row] for row in shown.rows[: shown.shown]],
        "note": shown.note,
    }


@cache
def _fonts() -> "typst.Fonts":
    """The fonts of the charts; the machine's own only for letters that they lack."""
    import typst

    return typst.Fonts(font_paths=[charts.font_directory()])


def _manifest(wanted: Wanted, seen: Snapshot, files: dict[str, bytes]) -> dict:
    """What the report rests on, for whoever wants to prove it; kept beside the files and with the message."""
    first, last = seen.period.first, seen.period.last
    return {
        "report": wanted.name,
        "template": wanted.template,
        "parameters": seen.parameters,
        "login": seen.login,
        "locale": wanted.locale,
        "formats": sorted(wanted.formats),
        "only_final": wanted.only_final,
        "period": {"name": seen.period.name, "first_day": str(first), "last_day": str(last)},
        "timezone": seen.timezone,
        "currency": seen.currency,
        "snapshot_at": seen.taken_at.isoformat(),
        "tide_marks": {
            row["table_name"]: {"load_id": row["load_id"], "built_at": row["built_at"].isoformat()}
            for row in seen.marks
        },
        "held": [row | {"since": row["since"].isoformat()} for row in seen.held],
        "not_final": sorted({str(row["day"]) for row in seen.rows.get("daily") or [] if not row["is_final"]}),
        "rows": {query: None if rows is None else len(rows) for query, rows in seen.rows.items()},
        "control_totals": {
            query: {column: str(total) for column, total in facts.numbers(rows)}
            for query, rows in seen.rows.items()
            if rows
        },
        "versions": {
            "python": platform.python_version(),
            "postgresql": seen.postgresql,
            **{package: version(package) for package in ("matplotlib", "typst", "jinja2", "xlsxwriter")},
        },
        "files": {file: {"sha256": sha256(body).hexdigest(), "bytes": len(body)} for file, body in files.items()},
    }


def _said(document: Document, seen: Snapshot) -> dict:
    """The sentences with the values behind them, and the figures that a later report compares with what is so then."""
    period = {"grain": seen.period.grain, "start_date": str(seen.period.first)}
    told = [period | {"metric": row["metric"], "value": str(row["value"])} for row in seen.rows.get("summary") or []]
    told += [
        {
            "grain": row["grain"],
            "start_date": str(row["start_date"]),
            "metric": row["metric"],
            "value": str(row["value"]),
        }
        for row in seen.sent
    ]
    said = [document.headline, *document.findings, *document.actions, *(chart.title for chart in document.charts)]
    return {"told": told, "sentences": [_rests(one) for one in said]}


def _rests(sentence: Sentence) -> dict:
    def plainly(values: Iterable) -> list:
        return [
            {"from": one.source, "value": None if one.value is None else str(one.value), "shown": one.text}
            for one in values
        ]

    return {"says": sentence.text, "rests_on": plainly(sentence.facts)}
