"""Making a report for each of its readers, keeping it, queueing its mail. How mail leaves is the outbox's business."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

import psycopg
from pydantic import TypeAdapter, ValidationError

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.reports import definitions, snapshot, template
from orchestration.reports.render import Rendered, Wanted, render
from orchestration.reports.snapshot import Asked, Period, Snapshot
from orchestration.settings import Recipient
from orchestration.warehouse import audit, database, names, outbox

FACTS = "snapshot.json.gz"  # what the files were made from
ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Sent:
    """What became of a report."""

    paths: dict[str, Path]  # by file name, of the first reader's: report.html, report.pdf, …, manifest.json
    queued: list[str]  # who gets it now; who had it before is not here
    held: list[str]  # why it is held back: a sentence each
    told: list[str]  # owners who hear that it is held back


@dataclass(frozen=True)
class Made:
    """A report as several readers get it."""

    rendered: Rendered
    seen: Snapshot
    recipients: list[Recipient]
    paths: dict[str, Path]


def send(name: str, to: list[str] | None = None, period: str | None = None) -> Sent:
    """Make a report for each of its recipients, or for `to` instead, keep it and queue it.

    Its recipients get the report of a period once for ever, and a notice when it is held back; who is named in `to`
    gets it again when there are newer figures. `period`: such as 2026-W10; the newest complete one if left out.
    Raises TidemarkError when it cannot be made.
    """
    report = definitions.definition(name)
    recipients = definitions.addresses(_valid(to)) if to else report.recipients
    made = make(name, report, recipients, Period.named(period) if period else None)
    with database.connect("report") as connection:
        queued = [
            address for one in made for address in enqueue(connection, one, by_hand=bool(to))
        ]  # all of them, or after a crash none
        told = _tell_owner(connection, name, report, made)
    held = list(dict.fromkeys(reason for one in made for reason in one.rendered.held))
    return Sent(made[0].paths, queued, held, told)


def preview(name: str, period: str | None = None) -> Sent:
    """Make a report as its first recipient would get it, with every format, and send it to nobody."""
    report = definitions.definition(name)
    reader = report.recipients[0].model_copy(update={"formats": ["csv", "pdf", "xlsx"]})
    (made,) = make(name, report, [reader], Period.named(period) if period else None)
    return Sent(made.paths, [], made.rendered.held, [])


def again(name: str, period: str | None) -> Sent:
    """Make kept reports of a period again, as they were. Raises TidemarkError when one is not, or none is kept."""
    if not period:
        raise TidemarkError("Say of which period the report is to be made again: give --for, such as --for 2026-W10.")
    base = settings.settings().directory("reports") / name / Period.named(period).name
    folders = sorted(path.parent for path in base.rglob("manifest.json"))
    if not folders:
        raise TidemarkError(f"No report {name} of {period} is kept in {base}: make it without --again.")
    paths = {}
    for folder in folders:
        for file, body in rebuild(folder).items():
            paths[str((folder / file).relative_to(base))] = _write(folder / file, body)
    return Sent(paths, [], [], [])


def _valid(given: list[str]) -> list[str]:
    for address in given:
        try:
            TypeAdapter(settings.Address).validate_python(address)
        except ValidationError:
            raise TidemarkError(f"{address!r} is not a mail address: give one such as ops@example.com.") from None
    return given


def make(name: str, report: settings.Report, recipients: list[Recipient], period: Period | None) -> list[Made]:
    """Make and keep the report of a period for its readers: once for all who see the same with the same marks.

    Each kind of file is made if one of them wants it; which of them goes to whom is the message's business.
    """
    plain = definitions.asked(template.read(report.template), report.template, report, period)
    seen: dict[Asked, tuple[str, Snapshot]] = {}
    groups: dict[tuple[str, str, str | None], list[Recipient]] = {}
    for reader, asked in zip(recipients, _asked(name, plain, recipients), strict=True):
        if asked not in seen:
            taken = snapshot.take(asked)
            seen[asked] = _digest(taken), taken
        groups.setdefault((seen[asked][0], reader.locale, reader.login), []).append(reader)
    rendered: dict[tuple[str, str], Rendered] = {}
    made: list[Made] = []
    for (digest, locale, login), readers in groups.items():
        (shown,) = [one for known, one in seen.values() if known == digest and one.login == login][:1]
        if (digest, locale) not in rendered:
            alike = [one for key, members in groups.items() if key[:2] == (digest, locale) for one in members]
            formats = {kind for one in alike for kind in one.formats}
            wanted = Wanted(name, report.template, locale, tuple(sorted(formats)), report.only_final)
            rendered[digest, locale] = render(wanted, shown)
        own = rendered[digest, locale]
        own = replace(own, manifest=own.manifest | {"login": login})
        made.append(Made(own, shown, readers, store(own, shown, _folder(made, own, readers[0], digest))))
    return made


def _asked(name: str, plain: Asked, recipients: list[Recipient]) -> list[Asked]:
    """What is asked for each reader: with their rights, and beside what they were sent before."""
    with database.connect("report") as connection:
        told = _told(connection, name, [reader.address for reader in recipients])
    return [replace(plain, login=one.login, sent=told.get(one.address, "[]")) for one in recipients]


def _told(connection: psycopg.Connection, name: str, readers: list[str]) -> dict[str, str]:
    """The figures that each reader was sent in earlier reports of this name, the newest word on each, as JSON."""
    rows = connection.execute(
        """select recipient, jsonb_agg(told order by told ->> 'start_date', told ->> 'metric')::text
           from (
               select distinct on (recipient, told ->> 'metric', told ->> 'grain', told ->> 'start_date')
                   recipient, told
               from ops.outbox
               cross join lateral jsonb_array_elements(manifest -> 'told') as told
               where topic = %s and recipient = any(%s) and manifest ? 'told' and told ->> 'value' <> 'None'
               order by recipient, told ->> 'metric', told ->> 'grain', told ->> 'start_date', created_at desc
           ) as newest
           group by recipient""",
        [_topic(name), readers],
    )
    return dict(rows.fetchall())


def _topic(name: str) -> str:
    return f"report {name}"


def _digest(seen: Snapshot) -> str:
    """The same for snapshots that show the same: whoever saw them, and whenever."""
    return sha256(
        replace(seen, login=None, taken_at=seen.marks[0]["built_at"] if seen.marks else seen.taken_at).dump()
    ).hexdigest()


def _folder(made: list[Made], rendered: Rendered, reader: Recipient, digest: str) -> Path:
    """Where a report is kept: that of the first readers in its period's folder, any other form in one within."""
    base = settings.settings().directory("reports") / rendered.name / rendered.period.name
    own = base.joinpath(*filter(None, [reader.login, reader.locale if reader.locale != "en" else None]))
    return own / digest[:12] if own in {one.paths["manifest.json"].parent for one in made} else own


def store(rendered: Rendered, seen: Snapshot, folder: Path) -> dict[str, Path]:
    """Write the files into a folder, each whole or not at all, the manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = json.dumps(rendered.manifest, indent=2, ensure_ascii=False, default=str)
    bodies = rendered.files | {FACTS: seen.dump(), "manifest.json": manifest.encode()}
    return {file: _write(folder / file, body) for file, body in bodies.items()}


def _write(path: Path, body: bytes) -> Path:
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)
    return path


def rebuild(folder: Path) -> dict[str, bytes]:
    """Make the files of a kept report again from what it was made from.

    Raises TidemarkError when one of them is not, to the byte, what its manifest names: then a file, the kept figures or
    the program that makes them is another than it was.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        seen = Snapshot.load((folder / FACTS).read_bytes())
    except FileNotFoundError as error:
        raise TidemarkError(f"There is no report in {folder}: {error.filename} is missing.") from error
    wanted = Wanted(
        manifest["report"], manifest["template"], manifest["locale"], tuple(manifest["formats"]), manifest["only_final"]
    )
    files = render(wanted, seen).files
    for file, entry in manifest["files"].items():
        if file not in files or sha256(files[file]).hexdigest() != entry["sha256"]:
            versions = ", ".join(f"{name} {number}" for name, number in manifest["versions"].items())
            raise TidemarkError(
                f"{folder / file} cannot be made again as it was: it was made by {versions}; use these versions."
            )
    return files


def enqueue(connection: psycopg.Connection, made: Made, *, by_hand: bool = False) -> list[str]:
    """Queue the mail of a report for each recipient who has not had it, in the caller's transaction; return those."""
    queued = [
        reader.address
        for reader in made.recipients
        if outbox.enqueue(
            connection,
            message(made.rendered, reader),
            topic=_topic(made.rendered.name),
            key=_key(made.rendered, by_hand),
            manifest=made.rendered.manifest,
        )
    ]
    for address in queued:
        _record(connection, made, address)
    return queued


def _record(connection: psycopg.Connection, made: Made, address: str) -> None:
    """Who was sent which report of what, and which personal fields of how many rows were in it."""
    rows = [row for rows in made.seen.rows.values() for row in rows or []]
    personal = sorted({column for row in rows for column in row if names.is_of_people(column) and row[column]})
    detail = {"period": made.rendered.period.name, "login": made.seen.login, "held": bool(made.rendered.held)}
    if personal and not made.rendered.held:
        detail |= {"personal": personal, "rows": sum(any(row.get(one) for one in personal) for row in rows)}
    audit.record(connection, "report sent", made.rendered.name, actor=address, **detail)


def _tell_owner(connection: psycopg.Connection, name: str, report: settings.Report, made: Iterable[Made]) -> list[str]:
    """Tell whoever owns a report that it is held back, and who does not get it."""
    held = [one for one in made if one.rendered.held]
    if not held or not report.owner:
        return []
    waiting = sorted({reader.address for one in held for reader in one.recipients})
    first = held[0].rendered
    mail = _mail(first.subject, report.owner)
    mail.set_content(f"{first.text}\nThese readers got this notice instead of the report: {', '.join(waiting)}.\n")
    new = outbox.enqueue(connection, mail, topic=f"report {name} held", key=f"owner\x1f{_key(first, False)}")
    return [report.owner] if new else []


def _key(rendered: Rendered, by_hand: bool) -> str:
    """What is sent once: the report of a period, the notice that it is held back, or by hand each new state of it."""
    parts = ["report", rendered.name, rendered.period.name]
    if rendered.held:
        since = [f"{row['table_name']} held since {row['since']}" for row in rendered.manifest["held"]]
        parts += since or ["held", *rendered.held]
    if by_hand:
        text = "notice.txt" if rendered.held else "report.txt"
        parts += ["by hand", rendered.manifest["files"][text]["sha256"]]
    return "\x1f".join(parts)


def _mail(subject: str, recipient: str) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = subject
    mail["To"] = recipient
    mail["Auto-Submitted"] = "auto-generated"
    return mail


def message(rendered: Rendered, reader: Recipient) -> EmailMessage:
    """The mail: text, or HTML with its pictures inside the message, and what its reader wants attached."""
    mail = _mail(rendered.subject, reader.address)
    mail.set_content(rendered.text)
    mail.add_alternative(rendered.html, subtype="html")
    html = mail.get_payload()[1]
    for cid, png in rendered.images.items():
        html.add_related(
            png, "image", "png", cid=f"<{cid}>", disposition="inline", filename=f"{cid.partition('@')[0]}.png"
        )
    for file, body in rendered.files.items():
        stem, _, kind = file.rpartition(".")
        if kind in reader.formats:
            parts = [rendered.name, rendered.period.name] + ([stem] if stem != "report" else [])
            mail.add_attachment(body, *TYPES[kind].split("/"), filename=f"{'-'.join(parts)}.{kind}")
    return mail


TYPES = {
    "pdf": "application/pdf",
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
