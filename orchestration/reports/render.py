"""From a snapshot to the parts of a report: text, HTML with its charts, PDF, manifest. Nothing is written or sent."""

import json
import platform
import re
from base64 import b64encode
from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from orchestration.reports import charts, definitions, figures, plain, snapshot
from orchestration.reports.document import Document, Notice
from orchestration.reports.snapshot import Period, Snapshot

if TYPE_CHECKING:
    import jinja2
    import typst

LAYOUTS = Path(__file__).parent / "layouts"
LONG_WORD = re.compile(r"\S{24}")


@dataclass(frozen=True)
class Rendered:
    """A finished report: the parts of its mail, and the files that are kept of it."""

    name: str
    subject: str
    period: Period
    text: str
    html: str  # names its pictures as `cid:` and a key of `images`
    images: dict[str, bytes]
    files: dict[str, bytes]  # report.txt, report.html (its pictures inside), report.pdf
    held: list[str]  # a sentence for each table that a gate holds back
    manifest: dict


def render(name: str, connection: psycopg.Connection) -> Rendered:
    """Make a report of what is published, as of the newest complete day.

    All its queries see one snapshot, and the same snapshot gives the same files: none holds the time it was made.
    Raises TidemarkError when there is no such report or nothing is published.
    """
    template = definitions.definition(name).template
    seen = snapshot.take(definitions.queries(template), connection)
    document = definitions.content(template).document(seen)
    notice = _notice(seen)
    pictures = _draw(document)
    words = {
        "document": document,
        "notice": notice,
        "tenant": seen.tenant,
        "period": figures.days(seen.period.first, seen.period.last),
    }
    cids = {chart: f"{chart}@{name}.{seen.period.name}.tidemark" for chart in pictures}
    html = _layout("report.html.j2").render(**words, images=cids)
    text = _layout("report.txt.j2").render(**words).replace(figures.NBSP, " ")
    images = {cids[chart]: png for chart, (png, _) in pictures.items()}
    files = {
        "report.txt": text.encode(),
        "report.html": _with_pictures_inside(html, images).encode(),
        "report.pdf": _pdf(words, {chart: svg for chart, (_, svg) in pictures.items()}, seen),
    }
    return Rendered(
        name=name,
        subject=_subject(document, notice, words),
        period=seen.period,
        text=text,
        html=html,
        images=images,
        files=files,
        held=notice.sentences if notice else [],
        manifest=_manifest(name, template, seen, files),
    )


def _subject(document: Document, notice: Notice | None, words: dict) -> str:
    finding = notice.title if notice else document.headline
    return f"{words['tenant']}: {finding} ({words['period']})".replace(figures.NBSP, " ")


def _notice(seen: Snapshot) -> Notice | None:
    """What is held back, since when, at which mark and why; the same on every report."""
    if not seen.held:
        return None
    meaning = "The figures below were published before that; newer ones follow when the gate passes."
    return Notice("Figures are held back", [_held_sentence(row, seen) for row in seen.held], meaning)


def _held_sentence(row: dict, seen: Snapshot) -> str:
    passed = (
        f"It last passed at load {row['passed_load_id']:,}." if row["passed_load_id"] else "It never passed before."
    )
    since = figures.moment(row["since"], seen.zone)
    return f"Since {since}, at load {row['load_id']:,}: {row['sentence'].rstrip('.')}. {passed}"


def _draw(document: Document) -> dict[str, tuple[bytes, str]]:
    """PNG for the mail and SVG for the PDF of every chart."""
    pictures = {}
    with charts.style():
        for chart in document.charts:
            figure = chart.draw()
            pictures[chart.name] = charts.png(figure), charts.svg(figure)
    return pictures


@cache
def _layout(name: str) -> "jinja2.Template":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(LAYOUTS),
        autoescape=lambda template: template.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(paragraph=plain.paragraph, table=plain.table, breakable=_breakable)
    return environment.get_template(name)


def _breakable(words: str) -> str:
    """Text in which a word that no column could hold may break."""
    return LONG_WORD.sub("\\g<0>\u200b", words)


def _with_pictures_inside(html: str, images: dict[str, bytes]) -> str:
    for cid, png in images.items():
        html = html.replace(f"cid:{cid}", f"data:image/png;base64,{b64encode(png).decode()}")
    return html


def _pdf(words: dict, pictures: dict[str, str], seen: Snapshot) -> bytes:
    """A tagged, accessible PDF (PDF/UA-1), dated at the end of the report's last day."""
    import typst

    document = asdict(words["document"])
    report = document | {
        "tenant": words["tenant"],
        "period": words["period"],
        "notice": asdict(words["notice"]) if words["notice"] else None,
        "charts": [
            {key: chart[key] for key in ("title", "subtitle", "alt", "is_wide")} | {"svg": pictures[chart["name"]]}
            for chart in document["charts"]
        ],
        "tables": [
            shown | {"heads": table.heads}
            for shown, table in zip(document["tables"], words["document"].tables, strict=True)
        ],
    }
    midnight = datetime.combine(seen.period.last + timedelta(days=1), time(), seen.zone)
    return typst.compile(
        LAYOUTS / "report.typ",
        root=LAYOUTS,
        font_paths=_fonts(),
        sys_inputs={"report": json.dumps(report, default=str)},
        pdf_standards=["ua-1"],
        timestamp=int(midnight.timestamp()),
    )


@cache
def _fonts() -> "typst.Fonts":
    """The fonts of the charts; the machine's own only for letters that they lack."""
    import typst

    return typst.Fonts(font_paths=[charts.font_directory()])


def _manifest(name: str, template: str, seen: Snapshot, files: dict[str, bytes]) -> dict:
    """What the report rests on, for whoever wants to prove it; kept beside the files and with the message."""
    return {
        "report": name,
        "template": template,
        "period": {"name": seen.period.name, "first_day": str(seen.period.first), "last_day": str(seen.period.last)},
        "timezone": seen.zone.key,
        "currency": seen.currency,
        "snapshot_at": seen.taken_at.isoformat(),
        "tide_marks": {
            row["table_name"]: {"load_id": row["load_id"], "built_at": row["built_at"].isoformat()}
            for row in seen.marks
        },
        "held": [row | {"since": row["since"].isoformat()} for row in seen.held],
        "not_final": sorted({str(row["day"]) for row in seen.rows.get("daily") or [] if not row["is_final"]}),
        "rows": {query: None if rows is None else len(rows) for query, rows in seen.rows.items()},
        "versions": {
            "python": platform.python_version(),
            "postgresql": seen.postgresql,
            **{package: version(package) for package in ("matplotlib", "typst", "jinja2")},
        },
        "files": {file: {"sha256": sha256(body).hexdigest(), "bytes": len(body)} for file, body in files.items()},
    }
