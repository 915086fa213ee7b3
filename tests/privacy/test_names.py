"""Names are found where they stand alone, by themselves and by their hashes alike."""

import gzip
import io
import zipfile
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.privacy.contents import names_in, texts
from orchestration.warehouse.names import (
    HashedNames,
    KnownNames,
    found_in,
    hashed,
    is_of_people,
    masked,
    masked_in,
    normal,
)
from orchestration.warehouse.sealing import sealed

NAMES = ["ada@example.com", "u1", "4711", "Zoë Ü-42", "pn_0123456789abcdef0123"]
KEY = b"k" * 32
KNOWN = KnownNames(map(normal, NAMES))
HASHED = HashedNames({hashed(normal(name), KEY): len(normal(name)) for name in NAMES}, KEY)
both = pytest.mark.parametrize("names", [KNOWN, HASHED], ids=["known", "hashed"])


@both
@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("write to Ada@Example.com.", "write to [erased]."),
        ("mailto:ada@example.com", "mailto:[erased]"),
        ("grada@example.com", "grada@example.com"),  # somebody else's
        ("ada@example.community", "ada@example.community"),
        ("export_ada@example.com_2026.csv", "export_[erased]_2026.csv"),
        ("u1 and 4711 are too short to be theirs alone", "u1 and 4711 are too short to be theirs alone"),
        ("zoë ü-42!", "[erased]!"),
        ("pn_0123456789abcdef0123", "[erased]"),
        ("ada@example.comada@example.com", "ada@example.comada@example.com"),
    ],
)
def test_a_name_is_found_in_a_text_where_nothing_stands_beside_it(names, text, without):
    assert masked(names, text) == without


@both
def test_short_names_count_where_people_are_named(names):
    record = {"userId": "u1", "lesson_id": "u1", "seller_id": 4711, "score": 4711, "note": ["u1", "by ada@example.com"]}
    assert found_in(names, record) == {"u1", "4711", "ada@example.com"}
    assert masked_in(names, record) == {
        "userId": "[erased]",
        "lesson_id": "u1",
        "seller_id": "[erased]",
        "score": 4711,
        "note": ["u1", "by [erased]"],
    }
    assert names.is_one("ADA@example.com") and names.is_one("u1") and not names.is_one("U1")


@given(st.lists(st.one_of(st.sampled_from([*NAMES, "x", " ", "-"]), st.text(max_size=8))).map("".join))
def test_hashes_find_what_the_names_find(text):
    assert masked(HASHED, text) == masked(KNOWN, text)
    assert not any(KNOWN.spans(masked(KNOWN, text)))


def test_texts_are_found_in_whatever_they_are_packed(home):
    mail = EmailMessage()
    mail["To"], mail["Subject"] = "boss@example.com", "for ada@example.com"
    mail.set_content("ada@example.com " * 20, cte="base64")
    mail.add_attachment(gzip.compress(b"ada@example.com"), "application", "gzip", filename="a.gz")
    folder = io.BytesIO()
    with zipfile.ZipFile(folder, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mail.eml", mail.as_bytes())
    found = "\n".join(texts(sealed(folder.getvalue())))
    assert found.count("ada@example.com") == 22
    assert list(texts(b"\x1f\x8b is not packed at all")) != []


@both
def test_short_names_are_found_in_json_and_tables_where_people_are_named(names):
    assert names_in(names, b'{"user_id": "u1"}\n{"lesson": "4711"}') == {"u1"}
    assert names_in(names, b"Customer ID;Quantity\n4711;3\n3;4711\n") == {"4711"}
    assert names_in(names, b"Product;Quantity\n4711;u1\n") == set()


def test_columns_name_people_and_do_not_count_them():
    assert all(map(is_of_people, ["user_id", "user_ids", "host", "seller_id", "session_id", "entity_id", "actor"]))
    assert not any(map(is_of_people, ["users", "customers", "buyers", "members", "learners", "name", "load_id"]))
