"""All queries of a report see one state of the warehouse, and can change nothing in it."""

from datetime import date

import psycopg
import pytest

from orchestration.errors import TidemarkError
from orchestration.reports import snapshot
from orchestration.reports.snapshot import take


@pytest.fixture
def folder(tmp_path):
    """A folder of queries, written by `folder(name=sql, …)`."""

    def write(**queries):
        for name, query in queries.items():
            (tmp_path / f"{name}.sql").write_text(query)
        return tmp_path

    return write


def test_a_change_between_two_queries_is_not_seen(published, warehouse, folder, monkeypatch):
    revenue = "select sum(value) as revenue from api.metric_daily where metric = 'revenue'"
    queries = folder(a_first=revenue, b_second=revenue)
    read = snapshot._read

    def read_while_others_write(cursor, path, parameters):
        rows = read(cursor, path, parameters)
        with psycopg.connect(warehouse) as other:
            other.execute("update api.metric_daily set value = value + 1 where metric = 'revenue'")
        return rows

    monkeypatch.setattr(snapshot, "_read", read_while_others_write)
    seen = take(queries, published)
    assert seen.rows["a_first"] == seen.rows["b_second"]
    published.rollback()
    assert published.execute(revenue).fetchone()[0] > seen.rows["b_second"][0]["revenue"]


def test_a_query_cannot_write(published, folder):
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        take(folder(evil="update api.metric_daily set value = 0 returning value"), published)


def test_a_query_whose_table_does_not_exist_yet_is_not_asked(published, folder):
    seen = take(folder(later="-- needs api.not_yet\nselect * from api.not_yet"), published)
    assert seen.rows["later"] is None


def test_the_period_is_the_seven_days_up_to_the_newest_complete_one(published, folder):
    seen = take(folder(), published)
    assert (seen.period.first, seen.period.last) == (date(2026, 3, 2), date(2026, 3, 8))
    assert (seen.tenant, seen.zone.key, seen.currency) == ("Tidemark Demo", "Europe/Berlin", "EUR")


def test_an_empty_warehouse_is_said(warehouse, folder):
    with psycopg.connect(warehouse) as connection, pytest.raises(TidemarkError, match="There is nothing to report"):
        take(folder(), connection)


def test_a_summary_without_a_day_is_said(published, folder):
    published.execute("delete from api.metric_daily")
    with pytest.raises(TidemarkError, match="There is nothing to report"):
        take(folder(), published)


def test_control_characters_do_not_come_through(published, folder):
    seen = take(folder(words="select E'a\\x1b[31mred\\r\\nBcc: x\\u202e' as words"), published)
    assert seen.rows["words"] == [{"words": "a [31mred Bcc: x"}]
