"""What can be read in bytes, whichever way they are packed: the texts in which a person may be named."""

import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from email import policy
from email.parser import BytesParser

from orchestration.errors import TidemarkError
from orchestration.warehouse import sealing

_MAIL = (b"from:", b"to:", b"subject:", b"mime-version:", b"content-type:", b"date:", b"message-id:", b"received:")
_DEEPEST = 4  # a table in a packed folder in a mail


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
