"""Anything at all: every record of every input is accounted for, or the whole file waits; and memory stays flat."""

import csv
import gzip
import io
import json
import math
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from orchestration.ingest.loader import NotAllLoaded, ingest
from orchestration.warehouse import database
from tests.conftest import IS_NIGHTLY
from tests.ingest.conftest import event

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024
PEAK_MIB = 600
SOURCES = """
sources:
  native: {path: inbox}
  table: {format: csv, mapping: &mapping {event_type: kind, occurred_at: at, user_id: who}}
  rows: {format: json, mapping: *mapping}
  parquet: {format: parquet, mapping: *mapping}
"""
HEADER = ["kind", "at", "who", "more"]


@pytest.fixture
def config(home, tmp_path, monkeypatch):
    monkeypatch.setenv("TIDEMARK_CONFIG", str(tmp_path / "config"))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "tenant.yml").write_text("name: Test\n")
    (tmp_path / "config" / "sources.yml").write_text(SOURCES)


def accounted(source: str, path: Path, records: int | None) -> bool:
    """Whether the file was loaded with so many records, each of them in one place; if not, that nothing is left of it.

    Without `records`, it must not be loaded.
    """
    with database.connect() as connection:
        (before,) = connection.execute("select max(load_id) from raw.loads").fetchone()
        try:
            (load,) = ingest(source, [path])
        except NotAllLoaded as error:
            (after,) = connection.execute("select max(load_id) from raw.loads").fetchone()
            assert (before, len(error.failures), error.loads) == (after, 1, [])
            return False
        assert records is not None, "it was loaded"
        assert load.received == records
        assert load.received == load.loaded + load.duplicate + load.quarantined + load.suppressed
        if not load.is_repeat:
            stored = connection.execute(
                """select (select count(*) from raw.events where load_id = %(id)s),
                          (select count(*) from raw.quarantine where load_id = %(id)s)""",
                {"id": load.load_id},
            ).fetchone()
            assert stored == (load.loaded, load.quarantined)
    return True


# Any input ---------------------------------------------------------------------------------------------------------

NASTY = [
    b"\x00", b"\xff\xfe", b'"\\u0000"', b'"\\ud800"', b"NaN", b"-Infinity", b"9" * 5000, b"1e400000", b"[" * 20_000,
    b'{"a":' * 20_000, b'{"a": 1, "a": 2}', b"\xef\xbb\xbf{}", b"{}{}", b"'", b'"', b",", b"\r", b"\x1f\x8b",
]  # fmt: skip
a_time = st.sampled_from(["2026-03-01T10:00:00Z", "2026-03-01T10:00:00", "1970-01-01T00:00:00Z", "", "x", None, 5])
a_value = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)
an_event = st.fixed_dictionaries(
    {"event_type": st.text(max_size=5), "occurred_at": a_time, "user_id": st.text(max_size=3) | st.just("u")},
    optional={"event_id": st.sampled_from("abc"), "properties": a_value, "x": a_value},
)
a_row = st.fixed_dictionaries({}, optional={"kind": a_value, "at": a_time, "who": a_value, "more": a_value})


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


@st.composite
def an_injured_event(draw) -> bytes:
    """An event with something nasty in place of some of its bytes."""
    line = as_json(draw(an_event))
    at = draw(st.integers(0, len(line)))
    return line[:at] + draw(st.sampled_from(NASTY)) + line[at + draw(st.integers(0, 5)) :]


a_line = st.binary(max_size=30) | an_event.map(as_json) | a_value.map(as_json) | an_injured_event()


@st.composite
def native_lines(draw) -> tuple[str, bytes, int]:
    lines = [line.replace(b"\n", b" ") for line in draw(st.lists(a_line, max_size=20))]
    return "native", b"\n".join([b"", *lines]), sum(bool(line.strip()) for line in lines)  # never begins like gzip


@st.composite
def csv_rows(draw) -> tuple[str, bytes, int]:
    """Rows of any width, with any text or, unquoted, any bytes."""
    text = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(["2026-03-01T10:00:00Z", "a", ""])
    rows = draw(st.lists(st.lists(text, min_size=1, max_size=6) | st.binary(min_size=1, max_size=8), max_size=15))
    content, records = io.BytesIO(), 0
    for row in [HEADER, *rows]:
        if isinstance(row, list):
            said = io.StringIO()
            csv.writer(said, lineterminator=draw(st.sampled_from(["\n", "\r\n"]))).writerow(row)
            content.write(said.getvalue().encode())
            records += 1
        elif cleaned := row.translate(None, b'"\r\n'):
            content.write(cleaned + b"\n")
            records += 1
    return "table", content.getvalue(), records - 1


def _is_json(row) -> bool:
    """Whether JSON can say it: a list with Infinity or NaN in it is refused whole."""
    try:
        json.dumps(row, allow_nan=False)
    except ValueError:
        return False
    return True


@st.composite
def json_rows(draw) -> tuple[str, bytes, int]:
    rows = draw(st.lists(a_row | a_value, max_size=10))
    records = sum(len(row) if isinstance(row, list) and _is_json(row) else 1 for row in rows)  # for what is in it
    return "rows", json.dumps(rows, indent=draw(st.sampled_from([None, 1]))).encode(), records


@st.composite
def parquet_rows(draw) -> tuple[str, bytes, int]:
    count = draw(st.integers(0, 8))
    a_column = st.sampled_from(
        [
            (st.text(st.characters(codec="utf-8"), max_size=5), pa.string()),
            (st.integers(-(2**63), 2**63 - 1), pa.int64()),
            (st.floats(), pa.float64()),
            (st.binary(max_size=4), pa.binary()),
            (st.lists(st.floats(), max_size=2), pa.list_(pa.float64())),
            (st.datetimes(), pa.timestamp("us")),
        ]
    )
    columns = {}
    for name in HEADER:
        values, kind = draw(a_column)
        columns[name] = pa.array(draw(st.lists(st.none() | values, min_size=count, max_size=count)), kind)
    content = io.BytesIO()
    parquet.write_table(pa.table(columns), content, compression=draw(st.sampled_from(["none", "zstd", "snappy"])))
    return "parquet", content.getvalue(), count


PACKED = {"none": bytes, "gzip": lambda content: gzip.compress(content, 1, mtime=0), "zstd": zstd.compress}


@given(native_lines() | csv_rows() | json_rows() | parquet_rows(), st.sampled_from(list(PACKED)), st.floats(0, 3))
@settings(
    max_examples=10_000 if IS_NIGHTLY else 500,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_every_record_is_accounted_for_whatever_it_is(warehouse, config, growth, tmp_path, told, packing, cut):
    source, content, records = told
    packed = PACKED[packing](content)
    is_cut = packing != "none" and cut < 1 and len(packed) > 12
    if is_cut:  # somewhere behind the mark by which it is known as packed
        packed = packed[: 12 + math.floor(cut * (len(packed) - 12))]
    path = tmp_path / sha256(packed).hexdigest()  # under one name, it could be what another case grew to
    path.write_bytes(packed)
    assert accounted(source, path, None if is_cut else records) != is_cut
    growth()


@pytest.fixture
def growth():
    """Call it after each case: from the fiftieth on, the memory of this process must not grow."""
    process, cases, settled = psutil.Process(), 0, 0

    def measure() -> None:
        nonlocal cases, settled
        cases += 1
        held = process.memory_info().rss
        if cases <= 50:
            settled = max(settled, held)
        assert held < settled + 150 * MIB

    return measure


# By name -----------------------------------------------------------------------------------------------------------

TOLD = '{"event_type": "a", "occurred_at": "2026-03-01T10:00:00Z", "user_id": "u", "properties": {"a": %s}}\n'
NAMED = {
    "invalid UTF-8": ("native", (TOLD % '"\xff"').encode("latin-1"), {"invalid_utf8": 1}),
    "NUL": ("native", (TOLD % '"\0"').encode(), {"invalid_json": 1}),
    "escaped NUL": ("native", (TOLD % r'"\u0000"').encode(), {"invalid_text": 1}),
    "lone surrogate": ("native", (TOLD % r'"\udc00"').encode(), {"invalid_text": 1}),
    "NaN": ("native", (TOLD % "NaN").encode(), {"invalid_json": 1}),
    "Infinity": ("native", (TOLD % "Infinity").encode(), {"invalid_json": 1}),
    "5,000 digits": ("native", (TOLD % ("7" * 5000)).encode(), {"number_out_of_range": 1}),
    "1e400000": ("native", (TOLD % "1e400000").encode(), {"number_out_of_range": 1}),
    "20,000 levels": ("native", (TOLD % ("[" * 20_000 + "]" * 20_000)).encode(), {"nested_too_deeply": 1}),
    "duplicate keys": ("native", (TOLD % '1, "a": 2').encode(), {}),
    "an extra column": ("table", b"kind,at,who\na,2026-03-01T10:00:00Z,u,v\n", {"wrong_column_count": 1}),
    "a missing column": ("table", b"kind,at,who\na,2026-03-01T10:00:00Z\n", {"wrong_column_count": 1}),
    "another dialect": ("table", b"\xef\xbb\xbfkind;at;who\r\na;2026-03-01T10:00:00Z;u\r\n", {}),
    "UTF-16": ("table", "kind\tat\twho\r\na\t2026-03-01T10:00:00Z\tü\r\n".encode("utf-16"), {}),
}


@pytest.mark.parametrize("name", NAMED)
def test_named_cases_are_one_record_each_with_its_reason(config, query, tmp_path, name):
    source, content, reasons = NAMED[name]
    path = tmp_path / "named"
    path.write_bytes(content)
    assert accounted(source, path, 1)
    assert dict(query("select reason, count(*) from raw.quarantine group by 1")) == reasons


def test_of_a_packed_file_that_was_cut_off_nothing_is_loaded_until_it_is_whole(config, query, tmp_path):
    content = "".join(json.dumps(event(n, event_id=None)) + "\n" for n in range(2000)).encode()
    for packing in ("gzip", "zstd"):
        path, packed = tmp_path / packing, PACKED[packing](content + packing.encode())
        for cut in (0.1, 0.5, 0.9, 0.999):
            path.write_bytes(packed[: int(len(packed) * cut)])
            assert not accounted("native", path, None)
        path.write_bytes(packed)
        assert accounted("native", path, 2001)


def test_names_that_lead_elsewhere_are_the_file_they_name_or_refused(config, home, query, write, tmp_path):
    path = write("in/a.jsonl", [event(1, event_id=None)])
    (first,) = ingest("native", [path])
    os.symlink(path, tmp_path / "in" / "link.jsonl")
    for other in (tmp_path / "in" / ".." / "in" / "a.jsonl", tmp_path / "in" / "link.jsonl"):
        (load,) = ingest("native", [other])
        assert load.is_repeat and load.load_id == first.load_id
    odd = tmp_path / os.fsdecode(b"in/..\xff\n'; drop table raw.events; --.jsonl")
    odd.write_bytes(path.read_bytes() + b"\n")
    assert accounted("native", odd, 1)
    inbox = home / "inbox"
    inbox.mkdir(parents=True)
    os.symlink("/etc/passwd", inbox / "passwd")
    with pytest.raises(NotAllLoaded, match="leads out of its folder"):
        ingest("native")
    assert query("select count(*) from raw.events") == [(2,)]


LOADED = """
import re, sys
from pathlib import Path
from orchestration.ingest.loader import NotAllLoaded, ingest
try:
    (load,) = ingest("native", [Path(sys.argv[1])])
    print(load.received, load.quarantined, end=" ")
except NotAllLoaded as error:
    print(0, 0, end=" ")
    print(error, file=sys.stderr)
# Not ru_maxrss: that begins with what the parent had when it forked.
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def loaded_apart(path: Path) -> tuple[int, int, int, str]:
    """Load a file in a process of its own: received, quarantined, its peak memory in MiB, what it complained of."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return *map(int, done.stdout.split()), done.stderr


def test_a_line_of_100_mb_is_one_refused_record(config, warehouse, query, tmp_path):
    path = tmp_path / "long.jsonl"
    path.write_bytes((TOLD % '"%s"').encode() % (b"x" * 100_000_000) + as_json(event(1)))
    received, quarantined, peak, _ = loaded_apart(path)
    assert (received, quarantined) == (2, 1)
    assert query("select reason from raw.quarantine") == [("value_too_large",)]
    assert peak < PEAK_MIB


def test_a_gzip_bomb_is_refused_before_it_fills_the_memory(config, warehouse, query, tmp_path):
    path = tmp_path / "bomb.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(400):
            file.write(bytes(MIB))
    assert path.stat().st_size < 4 * MIB
    *_, peak, complaint = loaded_apart(path)
    assert "longer than 256 MiB" in complaint
    assert query("select count(*) from raw.loads") == [(0,)]
    assert peak < PEAK_MIB


def test_memory_does_not_grow_with_the_size_of_a_file(config, warehouse, tmp_path):
    peaks = {}
    for size in (120_000, 1_200_000 if IS_NIGHTLY else 360_000):  # both of several batches
        path = tmp_path / f"{size}.jsonl.gz"
        with gzip.open(path, "wt", compresslevel=1) as file:
            file.writelines(json.dumps(event(n % 5000, event_id=f"{size} {n}")) + "\n" for n in range(size))
        received, _, peaks[size], _ = loaded_apart(path)
        assert received == size
    small, large = peaks.values()
    assert large < small + 100
    assert large < PEAK_MIB
