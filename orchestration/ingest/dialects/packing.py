"""Unpacking: what is packed is known by its first bytes, whatever its name says."""

import gzip
import io
import zlib
from typing import BinaryIO

from backports import zstd

# What reading raises when a packed file is not whole, or is damaged.
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, zstd.ZstdError)
_BUFFER = 1024 * 1024
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_METADATA = range(0x184D2A50, 0x184D2A60)  # of the frames with which some tools begin a zstd file


def unpacked(file: BinaryIO) -> BinaryIO:
    """The bytes of a seekable file from where it stands, unpacked as they are read when they are gzip or zstd.

    However much they unpack to, only some megabytes are held. Reading raises one of `DAMAGED` when it is cut off
    (EOFError) or damaged.
    """
    start = file.tell()
    head = file.read(4)
    file.seek(start)
    if head.startswith(_GZIP):
        return io.BufferedReader(gzip.GzipFile(fileobj=file), _BUFFER)
    if head == _ZSTD or int.from_bytes(head, "little") in _METADATA:
        return io.BufferedReader(zstd.ZstdFile(file), _BUFFER)
    return file
