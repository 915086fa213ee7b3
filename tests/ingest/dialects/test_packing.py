"""Unpacking: gzip and zstd by their first bytes, truncation told, memory flat."""

import gzip
import io
import tracemalloc

import pytest
from backports import zstd

from orchestration.ingest.dialects.packing import DAMAGED, unpacked

PLAIN = b"".join(b'{"event_id": "%d"}\n' % number for number in range(20_000))
CHECKED = {zstd.CompressionParameter.checksum_flag: 1}  # as the command line does it, and gzip always
PACKED = {
    "gzip": gzip.compress(PLAIN),
    "gzip in two members": gzip.compress(PLAIN[:999]) + gzip.compress(PLAIN[999:]),
    "zstd": zstd.compress(PLAIN, options=CHECKED),
    "zstd in two frames": zstd.compress(PLAIN[:999], options=CHECKED) + zstd.compress(PLAIN[999:], options=CHECKED),
    "zstd after metadata": b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstd.compress(PLAIN, options=CHECKED),
}


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
def test_what_is_packed_is_read_as_it_was(packed):
    assert unpacked(io.BytesIO(packed)).read() == PLAIN
    assert list(unpacked(io.BytesIO(packed))) == PLAIN.splitlines(keepends=True)


@pytest.mark.parametrize("plain", [b"", b"{", PLAIN, b"\x1f", b"PAR1"])
def test_what_is_not_packed_stays_as_it_is(plain):
    assert unpacked(io.BytesIO(plain)).read() == plain


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.9999])
def test_a_file_that_is_cut_off_says_so(packed, share):
    cut = packed[: int(len(packed) * share)]
    if len(cut) == len(gzip.compress(PLAIN[:999])):
        pytest.skip("cut between two members, it is whole")
    with pytest.raises(EOFError):
        unpacked(io.BytesIO(cut)).read()


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
def test_a_damaged_file_says_so(packed):
    middle = len(packed) // 2
    damaged = packed[:middle] + bytes(byte ^ 0xFF for byte in packed[middle : middle + 40]) + packed[middle + 40 :]
    with pytest.raises(DAMAGED):
        unpacked(io.BytesIO(damaged)).read()


@pytest.mark.parametrize("packer", [gzip.open, zstd.open])
def test_a_bomb_is_only_a_stream(packer):
    bomb = io.BytesIO()
    with packer(bomb, "wb") as file:
        for _ in range(300):
            file.write(bytes(1 << 20))
    bomb.seek(0)
    tracemalloc.start()
    stream, size = unpacked(bomb), 0
    while block := stream.read(1 << 20):
        size += len(block)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (size, peak < 20 << 20) == (300 << 20, True)
