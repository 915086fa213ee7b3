"""The text part fits any mail program, and loses no word to do so."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from orchestration.reports import plain
from orchestration.reports.document import Cell, Table

words = st.lists(st.text("abcdefghij", min_size=1, max_size=9), max_size=25).map(" ".join)


@given(st.lists(st.tuples(words, words, words), min_size=1, max_size=5))
def test_a_table_is_narrow_and_complete(rows):
    table = Table("t", "T", ["One", "Two", ">Three"], [("", [[Cell(text) for text in row] for row in rows])])
    shown = plain.table(table)
    assert max(map(len, shown.splitlines())) <= plain.WIDTH
    body = "".join(shown.splitlines()[2:])
    assert Counter(body.replace(" ", "")) == Counter("".join(map("".join, rows)).replace(" ", ""))


def test_figures_are_flush_right_and_groups_have_headings():
    rows = [[Cell("Orders"), Cell("1,204")], [Cell("Units"), Cell("9")]]
    table = Table("t", "T", ["Metric", ">Value"], [("Shop", rows)])
    assert plain.table(table) == "Metric  Value\n------  -----\n\nShop\nOrders  1,204\nUnits       9"


def test_a_long_sentence_is_wrapped_under_its_own_mark():
    lines = plain.paragraph("word " * 40, "- ").splitlines()
    assert lines[0].startswith("- word") and all(line.startswith("  word") for line in lines[1:])
