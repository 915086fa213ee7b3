"""CSV through a mapping: the real data sets to the penny, and what is wrong with a row."""

import json

import pytest

from orchestration.ingest.contract import BrokenFile, Reason
from orchestration.ingest.loader import NotAllLoaded, ingest
from orchestration.warehouse.sealing import opened
from tests.ingest.dialects.reading import again, read

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def test_values_keep_their_exact_text_and_columns_that_are_not_mapped_are_kept(write, query):
    rows = [
        HEADER + ",Shelf",
        '536365,85123A,"A ""QUOTED"", NAME\nof two lines \\ é\t",6,2010-12-01 08:26:00,2.50,17850.0,United Kingdom,B 7',
        "536366,X,,-1,2011-07-01 08:26:00,0.001,,France,",
    ]
    (load,) = ingest("online-retail", [write("a.csv.gz", rows)])
    assert load.loaded == 2
    first, second = query(
        "select user_id, to_char(occurred_at, 'MM-DD HH24:MI'), properties::text from raw.events order by occurred_at"
    )
    assert first[:2] == ("17850", "12-01 08:26") and second[:2] == (None, "07-01 07:26")
    assert '"price": 2.50' in first[2] and '"quantity": 6' in first[2]
    properties = json.loads(first[2])
    assert properties["name"] == 'A "QUOTED", NAME\nof two lines \\ é\t'
    assert (properties["currency"], properties["Shelf"]) == ("GBP", "B 7")
    assert json.loads(second[2], parse_float=str) == {
        "order_id": "536366", "product_id": "X", "quantity": -1, "price": "0.001",
        "currency": "GBP", "country": "France",
    }  # fmt: skip


def test_broken_rows_are_quarantined_as_they_came_and_the_others_are_loaded(write, query):
    good = b"1,a,b,6,2010-12-01 08:26:00,2.5,7,UK"
    rows = {
        good: None,
        b"1,a,b,6,2010-12-01 08:26:00,2.5,7": Reason.WRONG_COLUMN_COUNT,
        good + b",more": Reason.WRONG_COLUMN_COUNT,
        b"1,a,b,six,2010-12-01 08:26:00,2.5,7,UK": Reason.WRONG_TYPE,
        b"1,a,b,6,2010-12-01 08:26:00,NaN,7,UK": Reason.WRONG_TYPE,
        b"1,a,b,6,2010-12-01 08:26:00,2.5,7.5,UK": Reason.WRONG_TYPE,
        b"1,a,caf\xe9,6,2010-12-01 08:26:00,2.5,7,UK": Reason.INVALID_UTF8,
        b"1,a,nul\x00,6,2010-12-01 08:26:00,2.5,7,UK": Reason.INVALID_TEXT,
        b'1,a,"b" c,6,2010-12-01 08:26:00,2.5,7,UK': Reason.INVALID_CSV,
        b"1,a,b\rc,6,2010-12-01 08:26:00,2.5,7,UK": Reason.INVALID_CSV,
        b"1,a," + b"b" * 140_000 + b",6,2010-12-01 08:26:00,2.5,7,UK": Reason.VALUE_TOO_LARGE,
        b"1,a,b,6,01.12.2010,2.5,7,UK": Reason.INVALID_TIME,
        b"1,a,b,6,,2.5,7,UK": Reason.MISSING_FIELD,
        b"1,a,b,6,2010-12-01 08:26:00,1e999,7,UK": Reason.NUMBER_OUT_OF_RANGE,
        good.replace(b"a", b"c"): None,
    }
    (load,) = ingest("online-retail", [write("a.csv", [b"\xef\xbb\xbf" + HEADER.encode(), *rows])])
    assert (load.received, load.loaded, load.quarantined) == (15, 2, 13)
    found = [
        (position, reason, opened(payload))
        for position, reason, payload in query("select position, reason, payload from raw.quarantine order by position")
    ]
    header = b"\xef\xbb\xbf" + HEADER.encode() + b"\n"  # with it, a row can be read by itself
    expected = [
        (position, reason, header + row + b"\n") for position, (row, reason) in enumerate(rows.items(), 1) if reason
    ]
    assert found == expected


@pytest.mark.parametrize(
    ("header", "said"),
    [("InvoiceNo,Country", "has no column 'InvoiceDate'"), (HEADER + ",Country", "names a column twice")],
)
def test_a_file_of_another_shape_is_refused_in_a_sentence(write, query, header, said):
    path = write("a.csv", [header, "1,2"])
    with pytest.raises(NotAllLoaded, match=said) as caught:
        ingest("online-retail", [path])
    assert str(path) in str(caught.value)
    assert query("select count(*) from raw.loads") == [(0,)]


def test_an_empty_file_is_a_load_of_nothing(write):
    (load,) = ingest("online-retail", [write("empty.csv", [])])
    assert (load.received, load.newest_at) == (0, None)


MAPPING = {"event_type": {"value": "t"}, "occurred_at": "at", "properties": {"n": {"column": "n", "type": "number"}}}
ROWS = ["at;n;text", '2026-03-01T10:00:00Z;2.50;"a;\n""b"""', "2026-03-01T10:01:00Z;1,5;é"]


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        ("\n".join(ROWS).encode(), {}),
        ("\r\n".join(ROWS).encode("utf-8-sig"), {}),
        ("\n".join(ROWS).replace(";", "|").replace('"a|', '"a;').encode(), {}),
        ("\n".join(ROWS).replace(";", "#").replace('"a#', '"a;').encode(), {"delimiter": "#"}),
        ("\n".join(ROWS).encode("cp1252"), {"encoding": "cp1252"}),
        ("\n".join(ROWS).encode("utf-16"), {}),
        (b"\xfe\xff" + "\r\n".join(ROWS).encode("utf-16-be"), {}),
    ],
)
def test_other_kinds_of_csv_are_read_where_they_cannot_be_mistaken(content, settings):
    events, refusals, payloads = read("csv", content, mapping=MAPPING, **settings)
    (event,) = events
    assert event["occurred_at"] == "2026-03-01T10:00:00Z"
    assert event["properties"]["n"] == "2.50"
    assert event["properties"]["text"].replace("\r\n", "\n") == 'a;\n"b"'
    # a comma in a number is no point: it is refused, not guessed at
    assert [(position, reason) for position, reason, _ in refusals] == [(2, "wrong_type")]
    assert again("csv", {1: payloads[1]}, mapping=MAPPING, **settings) == events
    assert read("csv", payloads[2], mapping=MAPPING, **settings)[1] == [(1, *refusals[0][1:])]


def test_a_header_that_would_fit_in_two_ways_is_not_guessed_at():
    with pytest.raises(BrokenFile, match="has no column 'at'"):
        read("csv", b"at;n\tx|at\n1;2\n", mapping={"event_type": {"value": "t"}, "occurred_at": "at"})


def test_bytes_that_are_not_of_the_encoding_are_refused():
    content = b"at,n\n2026-03-01T10:00:00Z,1\n" + b"\x81,2\n"
    events, refusals, _ = read("csv", content, mapping=MAPPING, encoding="cp1252")
    assert len(events) == 1
    assert refusals == [(2, "invalid_utf8", "byte 1 of the record is not valid cp1252")]


def test_a_utf_16_file_that_is_cut_off_is_refused_as_a_whole():
    with pytest.raises(BrokenFile, match="UTF-16"):
        read("csv", "\n".join(ROWS).encode("utf-16")[:-1], mapping=MAPPING)
