"""The certificate of an erasure, as JSON and PDF: signed, without the person's names, good for searching again."""

import hmac
import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.errors import TidemarkError
from orchestration.privacy import erasure
from orchestration.privacy.erasure import Erased
from orchestration.settings import settings, tenant
from orchestration.warehouse import database
from orchestration.warehouse.names import HashedNames, hash_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LAYOUT = Path(__file__).parent / "layouts" / "certificate.typ"


def issue(done: Erased) -> tuple[Path, dict]:
    """Write the certificate of an erasure under TIDEMARK_HOME; return the path of its JSON and what it says."""
    folder = settings().directory("certificates")
    path = folder / f"erasure-{done.erasure_id}.json"
    told = _told(done)
    pdf = _pdf(told)
    told |= {"pdf": path.with_suffix(".pdf").name, "pdf_sha256": sha256(pdf).hexdigest()}
    key = _key()
    told |= {"public_key": key.public_key().public_bytes_raw().hex()}
    told |= {"signature": key.sign(_signed(told)).hex()}
    path.with_suffix(".pdf").write_bytes(pdf)
    path.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    with database.connect() as connection:
        place = str(path.relative_to(settings().home.resolve()))
        connection.execute("update ops.erasures set certificate = %s where erasure_id = %s", [place, done.erasure_id])
    return path, told


def verify(path: Path) -> dict:
    """Search again for the person of a certificate, by keyed hashes of their names; return what is found by place.

    Raises TidemarkError when the certificate is not one, was changed, or was signed by another key.
    """
    told = _read(path)
    hashes = {bytes.fromhex(name["hash"]): name["length"] for name in told["names"]}
    again = Erased(told["erasure_id"], told["reason"], datetime.now(UTC), hashes)
    erasure.search(HashedNames(hashes, hash_key()), again)
    return {
        "erasure_id": told["erasure_id"],
        "issued_at": told["issued_at"],
        "searched_at": datetime.now(UTC).isoformat(),
        "tables_searched": len(again.searched),
        "files_searched": again.files_searched,
        "found": again.remaining,
        "kept": again.kept,
    }


def _read(path: Path) -> dict:
    from cryptography.exceptions import InvalidSignature

    try:
        told = json.loads(path.read_text())
        signature = bytes.fromhex(told["signature"])
        _key().public_key().verify(signature, _signed(told))
        pdf = path.with_name(told["pdf"])
        if pdf.exists() and sha256(pdf.read_bytes()).hexdigest() != told["pdf_sha256"]:
            raise TidemarkError(f"{pdf} is not the PDF of this certificate: it was changed after it was signed.")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TidemarkError(f"{path} cannot be read as a certificate ({error}): give the JSON of one.") from error
    except InvalidSignature:
        raise TidemarkError(
            f"{path} was changed after it was signed, or signed under another TIDEMARK_SECRET_KEY: it proves nothing."
        ) from None
    return told


def _key() -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(hmac.digest(settings().key, b"certificates", "sha256"))


def _signed(told: dict) -> bytes:
    return json.dumps({name: value for name, value in told.items() if name != "signature"}, sort_keys=True).encode()


def _told(done: Erased) -> dict:
    return {
        "certificate": "erasure of a person",
        "tenant": tenant().name,
        "erasure_id": done.erasure_id,
        "reason": done.reason,
        "begun_at": done.begun_at.isoformat(),
        "issued_at": datetime.now(UTC).isoformat(),
        "names": [{"hash": name.hex(), "length": length} for name, length in sorted(done.hashes.items())],
        "is_complete": not done.remaining,
        "done": {place: dict(counts) for place, counts in sorted(done.done.items())},
        "remaining": done.remaining,
        "out_of_reach": done.out_of_reach,
        "searched": done.searched,
        "files_searched": done.files_searched,
        "touched_hours": done.touched_hours,
        "models_to_retrain": done.models,
        "retrain_by": done.retrain_by and done.retrain_by.isoformat(),
        "notes": _notes(done),
    }


def _notes(done: Erased) -> list[str]:
    """What a search of the tables cannot see, or must leave, said in sentences."""
    notes = [
        "The person's names are not on this certificate: it holds keyed hashes of them and how long they are.",
        "Removed rows were vacuumed; copies of them in the database's write-ahead log are gone when it is recycled, at "
        "the latest after max_wal_size of further changes, and in archived logs when those are deleted.",
        "Backups made before this erasure still hold the person until they are deleted. After restoring one, "
        "`tidemark erase replay` erases them again.",
    ]
    if done.frozen_days:
        notes.append(
            f"The raw events of {done.frozen_days} days had expired: totals of those days still count the person, "
            "namelessly, because they cannot be computed again."
        )
    if done.models:
        notes.append(
            f"{len(done.models)} models learned from data that included the person; none names them. They are to be "
            f"trained again by {done.retrain_by:%Y-%m-%d}."
        )
    notes += [
        f"{place} got {put}: they may name the person, and cannot be searched from here. Delete them there."
        for place, put in done.out_of_reach.items()
    ]
    notes += [f"{place} names them in {number} rows that are never changed: the audit." for place, number in
              done.kept.items()]  # fmt: skip
    return notes


def _pdf(told: dict) -> bytes:
    import typst

    shown = {name: told[name] for name in ("tenant", "erasure_id", "reason", "begun_at", "issued_at", "is_complete")}
    shown |= {
        "names": [f"{name['hash']} ({name['length']} characters)" for name in told["names"]],
        "done": [[place, f"{number:,} {what}"] for place, counts in told["done"].items()
                 for what, number in counts.items() if number],
        "remaining": [[place, why] for place, why in told["remaining"].items()],
        "searched": [[place, ", ".join(columns)] for place, columns in told["searched"].items()
                     if not place.startswith("raw.events_")],
        "partitions": sum(place.startswith("raw.events_") for place in told["searched"]),
        "files": told["files_searched"],
        "notes": told["notes"],
    }  # fmt: skip
    issued = int(datetime.fromisoformat(told["issued_at"]).timestamp())
    return typst.compile(LAYOUT, root=LAYOUT.parent, sys_inputs={"told": json.dumps(shown)}, timestamp=issued)
