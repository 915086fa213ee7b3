"""What can be read in bytes, whichever way they are packed: the texts in which a person may be named."""

import csv
import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from email import policy
from email.parser import BytesParser

import msgspec

from orchestration.errors import TidemarkError
from orchestration.warehouse import sealing
from orchestration.warehouse.names import OF_PEOPLE, Names, people_in, plain

_MAIL = (b"from:", b"to:", b"subject:", b"mime-version:", b"content-type:", b"date:", b"message-id:", b"received:")
_DEEPEST = 4  # a table in a packed folder in a mail


def names_in(names: Names, content: bytes) -> set[str]:
    """The names in some bytes: anywhere in their texts, and as whole values where JSON or a table names people."""
    found: set[str] = set()
    for text in texts(content):
        found |= {text[start:end] for start, end in names.spans(text)}
        found |= {name for name in _people(text) if names.is_one(name)}
    return found


def _people(text: str) -> Iterator[str]:
    lines = text.splitlines()
    if text.lstrip()[:1] in ("{", "["):
        for part in lines if text.lstrip()[0] == "{" else [text]:
            with suppress(msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                yield from people_in(msgspec.json.decode(part))
    elif lines and (columns := people_columns(lines[0])):
        for line in lines[1:]:
            yield from cells(line, columns)


def people_columns(header: str) -> list[int]:
    """Which columns of a table in text name people, by its header line."""
    return [number for number, field in enumerate(_fields(header)) if plain(field) in OF_PEOPLE]


def cells(line: str, columns: list[int]) -> list[str]:
    fields = _fields(line)
    return [fields[number] for number in columns if number < len(fields)]


def _fields(line: str) -> list[str]:
    delimiter = max(",;\t|", key=line.count)
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # a field larger than a table's would be
        return []


def texts(content: bytes, depth: int = 0) -> Iterator[str]:
    """Every text in some bytes: themselves, or the inside of what is sealed, packed, mailed, printed or in columns.

    What cannot be opened is given as the text that its bytes would be.
    """
    if depth > _DEEPEST:
        return
    inside = _inside(content) if content else None
    if inside is None:
        yield content.decode("utf-8", "replace")
        return
    for part in inside:
        if isinstance(part, str):
            yield part
        else:
            yield from texts(part, depth + 1)


def _inside(content: bytes) -> list[bytes | str] | None:
    """What bytes of a known kind hold; None where they are of none, or damaged."""
    with suppress(OSError, EOFError, ValueError, TidemarkError, zlib.error, zipfile.BadZipFile, NotImplementedError):
        if content.startswith(sealing.SEALED):
            return [sealing.opened(content)]
        if content.startswith(b"\x1f\x8b"):
            return [gzip.decompress(content)]
        if content.startswith(b"\x28\xb5\x2f\xfd"):
            from backports import zstd

            return [zstd.decompress(content)]
        if content.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                return [part for name in packed.namelist() for part in (name, packed.read(name))]
        if content.startswith(b"PAR1"):
            return [json.dumps(row, default=str, ensure_ascii=False) for row in _rows(content)]
        if content.startswith(b"%PDF"):
            return _pages(content)
        if content[:200].lower().lstrip().startswith(_MAIL):
            return _mail(content)
    return None


def _rows(content: bytes) -> Iterator[dict]:
    from pyarrow import parquet

    for batch in parquet.ParquetFile(io.BytesIO(content)).iter_batches(10_000):
        yield from batch.to_pylist()


def _pages(content: bytes) -> list[bytes | str] | None:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(io.BytesIO(content))
        return [str(dict(reader.metadata or {})), *(page.extract_text() for page in reader.pages)]
    except (PyPdfError, KeyError, AttributeError, TypeError):
        return None


def _mail(content: bytes) -> list[bytes | str]:
    message = BytesParser(policy=policy.default).parsebytes(content)
    found: list[bytes | str] = []
    for part in message.walk():
        found += [f"{name}: {value}" for name, value in part.items()]
        if not part.is_multipart() and (payload := part.get_payload(decode=True)):
            found.append(payload)
    return found
