"""What is read back from an export equals the warehouse, in every format, types included."""

import json
import math
import struct
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from orchestration.errors import TidemarkError
from tests.exports.conftest import HOSTILE, read_csv, read_jsonl


def rows(connection: psycopg.Connection, columns: str = "*") -> list[dict]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(f"select {columns} from marts.probe order by n").fetchall()


def same(left, right) -> bool:
    """Equality by which NaN equals itself, and types count."""
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return left == right and type(left) is type(right)


def assert_same(read: list[dict], stored: list[dict]) -> None:
    assert len(read) == len(stored)
    for one, other in zip(sorted(read, key=lambda row: int(row["n"])), stored, strict=True):
        differing = {name: (one[name], other[name]) for name in other if not same(one[name], other[name])}
        assert not differing


def test_parquet_is_the_same_down_to_the_types(probe, take):
    from pyarrow import parquet

    done = take("probe")
    table = parquet.read_table(done.files[0])
    types = {field.name: str(field.type) for field in table.schema}
    assert types["price"] == "decimal128(38, 10)" and types["at"] == "timestamp[us, tz=UTC]"
    assert types["huge"] == "decimal256(76, 2)" and types["tags"] == "string"
    read = table.to_pylist()
    for row in read:
        for name in ("tags", "detail"):
            row[name] = row[name] and json.loads(row[name])
        row["at"] = row["at"] and row["at"].astimezone(UTC)
    stored = rows(probe)
    for row in stored:
        row["span"], row["id"] = row["span"] and "P1DT2H", row["id"] and str(row["id"])
        row["at"] = row["at"] and row["at"].astimezone(UTC)
        row["small"] = row["small"] and struct.unpack("f", struct.pack("f", row["small"]))[0]
    assert_same(read, stored)
    assert table.schema.metadata[b"export_id"].decode() == done.manifest["export_id"]


def test_what_a_type_cannot_say_is_written_as_text(probe, take):
    from pyarrow import parquet

    probe.execute("update marts.probe set price = 'NaN', at = 'infinity', day = '0044-03-15 BC' where n = 1")
    done = take("probe", where=["n<=2", "n>=1"])
    first, second = parquet.read_table(done.files[0]).sort_by("n").to_pylist()
    assert (first["price"], first["at"], first["day"]) == ("NaN", "infinity", "0044-03-15 BC")
    assert (second["price"], second["at"]) == ("1234567.89", "2026-03-29 01:30:00.123456+00")
    written = {column["name"]: column["written_as"] for column in done.manifest["schema"]}
    assert (written["price"], written["at"], written["day"]) == ("string", "string", "string")


def test_csv_is_the_same_and_no_formula(probe, take):
    done = take("probe", "csv")
    path = Path(done.files[0])
    texts = {row["n"]: row for row in rows(probe, ", ".join(f"{name}::text" for name in (
        "n", "label", "price", "ratio", "small", "at", "local_at", "day", "clock", "huge", "id")))}  # fmt: skip
    read = read_csv(path)
    assert len(read) == len(texts)
    for row in read:
        stored = texts[row["n"]]
        assert {name: row[name] for name in stored} == {name: value or "" for name, value in stored.items()}
    assert {row["is_on"] for row in read} == {"true", ""}
    assert [json.loads(row["tags"]) for row in read if row["tags"]] == [["a", None, "b,c"]] * len(HOSTILE)
    raw = path.read_bytes()
    import csv

    for record in csv.DictReader(raw.decode().splitlines(keepends=True)):
        assert not record["label"].lstrip().startswith(("=", "+", "-", "@", "＝", "＠"))
    assert raw.split(b"\r\n", 1)[0].startswith(b"n,label,price")
    # Null and an empty text are not the same: PostgreSQL reads both back as they were.
    probe.execute("create table marts.again (like marts.probe)")
    with probe.cursor().copy("copy marts.again from stdin (format csv, header)") as copy:
        copy.write(raw.replace(b"[", b"{").replace(b"]", b"}") if False else _arrays_for_postgres(raw))
    lost = probe.execute(
        "select count(*) from marts.probe full join marts.again using (n) where "
        "probe.label is distinct from regexp_replace(again.label, '^''', '') or (probe.price, probe.ratio, probe.at, "
        "probe.day) is distinct from (again.price, again.ratio, again.at, again.day)"
    ).fetchone()[0]
    assert lost == 0


def _arrays_for_postgres(raw: bytes) -> bytes:
    return raw.replace(b'"[""a"", null, ""b,c""]"', b'"{a,NULL,""b,c""}"')


def test_json_lines_are_the_same(probe, take):
    read = read_jsonl(Path(take("probe", "jsonl").files[0]))
    stored = rows(probe)
    for row in read:
        for name in ("at", "local_at"):
            row[name] = row[name] and datetime.fromisoformat(row[name])
        row["day"] = row["day"] and datetime.fromisoformat(row["day"]).date()
        row["clock"] = row["clock"] and datetime.fromisoformat(f"2026-01-01T{row['clock']}").time()
        for name in ("ratio", "small"):
            row[name] = row[name] if row[name] is None else float(row[name])
        for name in ("price", "huge"):
            row[name] = row[name] if row[name] is None else Decimal(row[name])
        del row["span"], row["id"]
    for row in stored:
        row["at"] = row["at"] and row["at"].astimezone(UTC)
        del row["span"], row["id"]
    for row in read:
        row["at"] = row["at"] and row["at"].astimezone(UTC)
    assert_same(read, stored)


def test_a_spreadsheet_has_native_types_where_nothing_is_lost(probe, take):
    from openpyxl import load_workbook
    from openpyxl.utils.escape import unescape

    probe.execute("delete from marts.probe where n not between 1 and 999")
    probe.execute("update marts.probe set at = date_trunc('second', at), huge = 12345678901234567890.5")
    probe.execute(
        "insert into marts.probe (n, label, ratio) values (500, null, 0.30000000000000004), (501, 'x', 'NaN')"
    )
    done = take("probe", "xlsx")
    book = load_workbook(done.files[0])
    sheet = book["probe"]
    head = [cell.value for cell in sheet[1]]
    assert sheet.freeze_panes == "A2" and head[:3] == ["n", "label", "price"]
    read = {row[0].value: dict(zip(head, row, strict=True)) for row in sheet.iter_rows(min_row=2)}
    for stored in rows(probe, "n, label, price, ratio, is_on, at, day, huge"):
        cells = read[stored["n"]]
        label = cells["label"].value
        assert (unescape(label) if label else label) == stored["label"]
        assert cells["label"].data_type in ("s", "inlineStr", "n") and cells["label"].hyperlink is None
        if stored["price"] is not None:
            assert Decimal(str(cells["price"].value)) == stored["price"] and cells["price"].data_type == "n"
            assert cells["at"].value.replace(tzinfo=UTC) == stored["at"] and "UTC" in cells["at"].number_format
            assert cells["day"].value.date() == stored["day"] and cells["is_on"].value is True
            assert cells["huge"].value == str(stored["huge"])
    assert read[500]["ratio"].value == 0.30000000000000004
    assert read[501]["ratio"].value == "NaN"
    assert {entry.name: entry.value for entry in book.custom_doc_props.props}["export_id"] == done.manifest["export_id"]


def test_no_text_is_clipped(probe, take):
    probe.execute("update marts.probe set label = repeat('x', 40000) where n = 1")
    with pytest.raises(
        TidemarkError, match=r"api\.probe\.label has a text of 40,000 characters, and a cell holds 32,767"
    ):
        take("probe", "xlsx")
    assert len(read_csv(Path(take("probe", "csv", where=["n=1"]).files[0]))[0]["label"]) == 40000


def test_a_sheet_that_is_full_is_followed_by_another(probe, take, monkeypatch):
    from openpyxl import load_workbook

    monkeypatch.setattr("orchestration.exports.formats.SHEET_ROWS", 20)
    book = load_workbook(take("probe", "xlsx").files[0])
    assert book.sheetnames == ["probe", "probe 2", "probe 3"]
    count = sum(sheet.max_row - 1 for sheet in book)
    assert count == probe.execute("select count(*) from marts.probe").fetchone()[0]
    assert all(sheet["A1"].value == "n" for sheet in book)


def test_the_manifest_says_what_the_file_holds(probe, take):
    for form in ("parquet", "csv", "jsonl", "xlsx"):
        none = take("probe", form, where=["n=77777"])
        assert none.manifest["rows"] == 0 and Path(none.files[0]).stat().st_size == none.manifest["bytes"]
    done = take("probe", "csv", where=["n>=1", "n<=3"])
    path, manifest = Path(done.files[0]), json.loads(Path(done.files[1]).read_text())
    assert manifest["sha256"] == sha256(path.read_bytes()).hexdigest()
    assert manifest["rows"] == 3 and manifest["where"] == ["n>=1", "n<=3"] and manifest["requested_by"] == "a test"
    assert manifest["control_totals"]["price"] == {
        "values": "3", "sum": "3703703.67", "min": "1234567.89", "max": "1234567.89", "scale": "2"}  # fmt: skip
    assert manifest["control_totals"]["is_on"] == {"values": "3", "true": "3"}
    assert manifest["control_totals"]["n"]["sum"] == "6"
    assert manifest["control_totals"]["label"]["characters"] == str(sum(map(len, HOSTILE[:3])))
