"""Keeping a report in its folder, and queueing it for its readers. How mail leaves is the outbox's business."""

import json
import os
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from tempfile import NamedTemporaryFile

import psycopg
from pydantic import TypeAdapter, ValidationError

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.reports import definitions
from orchestration.reports.render import Rendered, render
from orchestration.warehouse import database, outbox


@dataclass(frozen=True)
class Sent:
    """What became of a report."""

    paths: dict[str, Path]  # by file name: report.html, report.pdf, report.txt, manifest.json
    queued: list[str]  # who gets it now; who had it before is not here
    held: list[str]  # a sentence for each table that a gate holds back


def send(name: str, to: list[str] | None = None) -> Sent:
    """Render a report, keep it, and queue it for its recipients, or for `to` instead.

    Its recipients get the report of a period once for ever, and once more if figures are held back; who is named in
    `to` gets it again when there are newer figures. Raises TidemarkError when it cannot be rendered.
    """
    recipients = _addresses(to) if to else definitions.definition(name).recipients
    with database.connect("report") as connection:
        rendered = render(name, connection)
    paths = store(rendered)
    with database.connect("report") as connection:
        queued = enqueue(connection, rendered, recipients, by_hand=bool(to))
    return Sent(paths, queued, rendered.held)


def _addresses(given: list[str]) -> list[str]:
    for address in given:
        try:
            TypeAdapter(settings.Address).validate_python(address)
        except ValidationError:
            raise TidemarkError(f"{address!r} is not a mail address: give one such as ops@example.com.") from None
    return given


def store(rendered: Rendered) -> dict[str, Path]:
    """Write the files under reports/NAME/PERIOD in the home, each whole or not at all, the manifest last."""
    folder = settings.settings().directory("reports") / rendered.name / rendered.period.name
    folder.mkdir(parents=True, exist_ok=True)
    manifest = json.dumps(rendered.manifest, indent=2, ensure_ascii=False, default=str)
    bodies = rendered.files | {"manifest.json": manifest.encode()}
    return {file: _write(folder / file, body) for file, body in bodies.items()}


def _write(path: Path, body: bytes) -> Path:
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)
    return path


def enqueue(
    connection: psycopg.Connection, rendered: Rendered, recipients: list[str], *, by_hand: bool = False
) -> list[str]:
    """Queue the mail of a report for each recipient who has not had it; return those."""
    return [
        recipient
        for recipient in recipients
        if outbox.enqueue(
            connection,
            message(rendered, recipient),
            topic=f"report {rendered.name}",
            key=_key(rendered, by_hand),
            manifest=rendered.manifest,
        )
    ]


def _key(rendered: Rendered, by_hand: bool) -> str:
    """What is sent once: the report of a period, the notice that it is held back, or by hand each new state of it."""
    parts = ["report", rendered.name, rendered.period.name]
    parts += [f"{row['table_name']} held since {row['since']}" for row in rendered.manifest["held"]]
    if by_hand:
        parts += ["by hand", rendered.manifest["files"]["report.txt"]["sha256"]]
    return "\x1f".join(parts)


def message(rendered: Rendered, recipient: str) -> EmailMessage:
    """The mail: text, or HTML with its pictures inside the message, and the PDF beside them."""
    mail = EmailMessage()
    mail["Subject"] = rendered.subject
    mail["To"] = recipient
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(rendered.text)
    mail.add_alternative(rendered.html, subtype="html")
    html = mail.get_payload()[1]
    for cid, png in rendered.images.items():
        html.add_related(
            png, "image", "png", cid=f"<{cid}>", disposition="inline", filename=f"{cid.partition('@')[0]}.png"
        )
    mail.add_attachment(
        rendered.files["report.pdf"],
        "application",
        "pdf",
        filename=f"{rendered.name}-{rendered.period.name}.pdf",
    )
    return mail
