"""Bytes become JSON records, and records that are none become refusals. What a record means is the dialects' affair."""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TypeVar

import msgspec

from orchestration.ingest.contract import MAX_LINE_BYTES, MAX_RECORD_BYTES, BrokenFile, Reason, Refusal

BLOCK_BYTES = 8 * 1024 * 1024
BATCH_RECORDS = 20_000
Fields = dict[str, msgspec.Raw]
Item = TypeVar("Item")

decode_fields = msgspec.json.Decoder(Fields).decode
decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
decode_value = msgspec.json.Decoder(msgspec.Raw).decode
encode = msgspec.json.Encoder(decimal_format="number").encode
_SPACE = re.compile(r"[ \t\r\n]*")
_scan = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str, strict=False).raw_decode


class Refused(Exception):
    """Why a record is no event: a reason of the closed list, and one line of detail."""

    def __init__(self, reason: Reason, detail: str):
        self.reason, self.detail = reason, detail
        super().__init__(detail)

    def at(self, position: int) -> Refusal:
        return Refusal(position, self.reason, self.detail)


class Payloads:
    """The bytes of a batch's records, put together only for those that are asked for."""

    def __init__(self, count: int, payload: Callable[[int], bytes]):
        self.count, self.payload = count, payload

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> bytes:
        return self.payload(index)


def too_large(record: bytes) -> Refused | None:
    if len(record) <= MAX_RECORD_BYTES:
        return None
    detail = f"the record has {len(record)} bytes, and more than {MAX_RECORD_BYTES} are not taken"
    return Refused(Reason.VALUE_TOO_LARGE, detail)


def not_json(record: bytes) -> Refused:
    """What exactly is wrong with a record that could not be read as a JSON object."""
    try:
        text = record.decode()
    except UnicodeDecodeError as error:
        return Refused(Reason.INVALID_UTF8, f"byte {error.start + 1} of the record is not valid UTF-8")
    try:
        decode_fields(record)
    except msgspec.ValidationError:
        if not _is_whole(record):
            return Refused(Reason.INVALID_JSON, "the record is no object, and no JSON either")
        return Refused(Reason.NOT_AN_OBJECT, "the record is JSON, but not an object")
    except RecursionError:
        return Refused(Reason.NESTED_TOO_DEEPLY, "the record is nested too deeply to be read")
    except msgspec.DecodeError as error:
        if _has_lone_surrogate(text):
            return Refused(Reason.INVALID_TEXT, "a text has half of a surrogate pair, which is no character")
        return Refused(Reason.INVALID_JSON, str(error))
    return Refused(Reason.WRONG_TYPE, "a field of the record is of another type than the dialect gives it")


def _has_lone_surrogate(text: str) -> bool:
    """Whether that is all that is wrong with a JSON text: it reads, but what it says cannot be encoded."""

    def refuse(token: str) -> None:
        raise ValueError(token)

    try:
        json.dumps(json.loads(text, parse_int=str, parse_float=str, parse_constant=refuse), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def in_batches(items: Iterable[Item], size: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Some thousand items at a time, and no more of them at once than some megabytes."""
    some, held = [], 0
    for item in items:
        some.append(item)
        held += size(item)
        if len(some) >= BATCH_RECORDS or held >= BLOCK_BYTES:
            yield some
            some, held = [], 0
    if some:
        yield some


def lines(blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The lines of some blocks of bytes, without their ends, a block at a time. Raises BrokenFile for one too long."""
    started: list[bytes] = []  # the pieces of a line whose end has not come yet
    for block in blocks:
        whole, end, rest = block.rpartition(b"\n")
        if end:
            yield b"".join([*started, whole]).split(b"\n")
            started = []
        started.append(rest)
        if sum(map(len, started)) > MAX_LINE_BYTES:
            raise BrokenFile(f"has a line longer than {MAX_LINE_BYTES >> 20} MiB: give a file of JSON Lines.")
    if last := b"".join(started):
        yield [last]


def blocks(stream) -> Iterator[bytes]:
    """A stream some megabytes at a time, without a byte-order mark."""
    yield stream.read(BLOCK_BYTES).removeprefix(codecs.BOM_UTF8)
    while block := stream.read(BLOCK_BYTES):
        yield block


def values(stream) -> Iterator[bytes]:
    """The JSON values of a stream: one a line, or documents over several lines. An array of these is entered.

    Raises BrokenFile when a document of several lines is not JSON, for then its records cannot be told apart.
    """
    pieces = blocks(stream)
    head = next(pieces, b"")
    rest = chain([head], pieces)
    if _is_document(head):
        yield from _of_document(rest)
    else:
        yield from (line for some in lines(rest) for line in some if line and not line.isspace())


def _is_document(head: bytes) -> bool:
    """Whether values go over several lines: the first breaks off at its end, and the second is not whole either."""
    first, *others = head.lstrip().split(b"\n", 2)
    if not first.startswith((b"[", b"{")) or _is_whole(first):
        return first.startswith(b"[") and not others
    if not others:
        return first.startswith(b"[")
    second = others[0].strip()
    return first.strip() == b"[" or bool(second and not _is_whole(second))


def _is_whole(line: bytes) -> bool:
    try:
        decode_value(line)
    except msgspec.DecodeError:
        return False
    except RecursionError:
        return True
    return True


def _of_document(pieces: Iterator[bytes]) -> Iterator[bytes]:
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    text, is_inside, is_after = "", False, False
    while True:
        fresh = list(_at_least(len(text), pieces))  # a long value is looked at again only when as much has come
        text += "".join(map(decode, fresh)) if fresh else decode(b"", final=True)
        at = 0
        while True:
            at = _SPACE.match(text, at).end()
            mark = text[at : at + 1]
            if mark == "[" and not is_inside:
                is_inside, is_after, at = True, False, at + 1
            elif mark == "]" and is_inside:
                is_inside, is_after, at = False, False, at + 1
            elif mark == "," and is_after:
                is_after, at = False, at + 1
            elif mark and is_after:
                raise BrokenFile(_broken(text, at, "a comma is missing"))
            elif mark:
                try:
                    _, end = _scan(text, at)
                except RecursionError:
                    raise BrokenFile(_broken(text, at, "it is nested too deeply")) from None
                except json.JSONDecodeError as error:
                    if not fresh or not _is_cut(error):
                        raise BrokenFile(_broken(text, at, error.msg)) from None
                    break
                if end == len(text) and fresh:
                    break  # of a number, there may be more
                yield text[at:end].encode("utf-8", "surrogateescape")
                at, is_after = end, is_inside
            else:
                break
        text = text[at:]
        if len(text) > MAX_LINE_BYTES:
            raise BrokenFile(f"has a record longer than {MAX_LINE_BYTES >> 20} MiB: give a file of JSON records.")
        if not fresh:
            if is_inside:
                raise BrokenFile("ends in the middle of a JSON array: copy it again; nothing of it was loaded.")
            return


def _is_cut(error: json.JSONDecodeError) -> bool:
    """Whether a text may only lack what comes after it, as opposed to being no JSON at all."""
    return error.msg.startswith("Unterminated string") or error.pos >= len(error.doc) - len("-Infinity")


def _at_least(size: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        size -= len(piece)
        if size <= 0:
            return


def _broken(text: str, at: int, problem: str) -> str:
    return f"is not JSON ({problem}, at {text[at : at + 40]!a}): correct it; nothing of it was loaded."
