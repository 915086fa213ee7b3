"""Files: each record once, however a file grows, is named, is linked, is taken away, or lies in object storage."""

import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from orchestration.errors import TidemarkError
from orchestration.ingest.dialects import READERS
from orchestration.ingest.loader import NotAllLoaded, SourceBusy, ingest, reach, standing_failures
from orchestration.ingest.sources import files
from orchestration.settings import sources
from orchestration.warehouse import database
from tests.ingest.conftest import event

SALES = """
sources:
  app: {path: inbox/app, pattern: "*.jsonl*"}
  sales:
    format: csv
    path: inbox/sales
    pattern: "*.csv"
    timezone: UTC
    user_id: optional
    mapping: {event_type: {value: sold}, occurred_at: at, properties: {name: name, quantity: quantity}}
"""


@pytest.fixture
def inbox(home, configure):
    """The watched folder of a source."""
    configure(SALES)

    def inbox(source: str) -> Path:
        return files.folder(sources()[source])

    return inbox


def put(path: Path, content: bytes, age: float = 60) -> Path:
    """Write a file as if that had been some seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - age,) * 2)
    return path


def lines(*numbers: int) -> bytes:
    """Events without an id of their own: only where they stand tells them apart."""
    return b"".join(json.dumps(event(number, event_id=None)).encode() + b"\n" for number in numbers)


def counted(loads: list) -> list[tuple]:
    return [(load.received, load.loaded, load.duplicate, load.is_repeat) for load in loads]


# Growing ------------------------------------------------------------------------------------------------------------


def test_a_file_that_grew_is_read_on_from_where_it_was(warehouse, inbox, query):
    path = put(inbox("app") / "a.jsonl", lines(1, 2))
    assert counted(ingest("app")) == [(2, 2, 0, False)]
    put(path, lines(1, 2, 3), age=50)
    assert counted(ingest("app")) == [(1, 1, 0, False)]
    put(path, lines(1, 2, 3, 3, 4), age=40)
    assert counted(ingest("app", [path])) == [(2, 2, 0, False)]  # two equal lines are two events
    roots = query("select distinct split_part(event_id, ':', 1) from raw.events")
    positions = query("select split_part(event_id, ':', 2)::int from raw.events order by 1")
    assert len(roots) == 1 and positions == [(1,), (2,), (3,), (4,), (5,)]
    assert ingest("app") == []


def test_a_grown_file_under_another_name_changes_nothing(warehouse, inbox, query):
    path = put(inbox("app") / "a.jsonl", lines(1, 2))
    ingest("app")
    put(path, lines(1, 2, 3), age=50)
    ingest("app")
    shutil.copy(path, inbox("app") / "copy.jsonl")
    os.utime(inbox("app") / "copy.jsonl", (time.time() - 60,) * 2)
    assert counted(ingest("app")) == [(1, 1, 0, True)]
    put(inbox("app") / "copy.jsonl", lines(1, 2, 3, 4), age=30)  # the copy grows by itself
    assert counted(ingest("app")) == [(1, 1, 0, False)]
    assert query("select count(*) from raw.events") == [(4,)]


def test_a_file_that_is_known_to_grow_is_read_on_while_it_is_written(warehouse, inbox, query, monkeypatch):
    path = put(inbox("app") / "a.jsonl", lines(1))
    ingest("app")
    put(path, lines(1, 2) + lines(3)[:9], age=0)
    true = files.arrival

    def growing(*arguments, **options):
        found = true(*arguments, **options)
        path.write_bytes(lines(1, 2, 3, 4))
        return found

    monkeypatch.setattr(files, "arrival", growing)
    assert counted(ingest("app")) == [(1, 1, 0, False)]
    monkeypatch.setattr(files, "arrival", true)
    assert counted(ingest("app")) == [(2, 2, 0, False)]
    assert query("select count(*) from raw.events") == [(4,)]


def test_a_file_that_changed_before_its_end_is_another_file(warehouse, inbox):
    path = put(inbox("app") / "a.jsonl", lines(1, 2))
    ingest("app")
    put(path, lines(5, 2, 3), age=50)
    assert counted(ingest("app")) == [(3, 3, 0, False)]
    put(path, lines(5), age=40)
    assert counted(ingest("app")) == [(1, 1, 0, False)]  # it shrank


def test_a_touched_file_is_not_loaded_again(warehouse, inbox):
    path = put(inbox("app") / "a.jsonl", lines(1, 2))
    ingest("app")
    put(path, lines(1, 2), age=30)
    assert counted(ingest("app")) == [(2, 2, 0, True)]
    put(path, lines(1, 2, 3), age=20)
    assert counted(ingest("app")) == [(1, 1, 0, False)]


def test_a_line_that_is_half_written_waits_for_its_end(warehouse, inbox, query):
    whole, half = lines(1), lines(2)[:40]
    path = put(inbox("app") / "a.jsonl", whole + half)
    assert counted(ingest("app")) == [(1, 1, 0, False)]
    assert ingest("app") == []
    put(path, lines(1, 2, 3), age=50)
    assert counted(ingest("app")) == [(2, 2, 0, False)]
    assert query("select count(*) from raw.quarantine") == [(0,)]


def test_a_last_line_that_is_whole_needs_no_end(warehouse, inbox, query):
    path = put(inbox("app") / "a.jsonl", lines(1, 2).rstrip())
    assert counted(ingest("app")) == [(2, 2, 0, False)]
    put(path, lines(1, 2, 3), age=50)
    assert counted(ingest("app")) == [(1, 1, 0, False)]
    assert query("select count(*) from raw.quarantine") == [(0,)]


def test_a_line_that_stays_half_written_is_quarantined_and_loaded_once_it_is_whole(warehouse, inbox, query):
    path = put(inbox("app") / "a.jsonl", lines(1) + lines(2)[:40], age=files.UNENDED_SECONDS + 10)
    assert counted(ingest("app")) == [(2, 1, 0, False)]
    assert query("select position, reason from raw.quarantine") == [(2, "invalid_json")]
    assert ingest("app") == []
    put(path, lines(1, 2))
    assert counted(ingest("app")) == [(1, 1, 0, False)]
    assert query("select split_part(event_id, ':', 2)::int from raw.events order by 1") == [(1,), (2,)]


def test_a_half_line_that_nobody_ends_is_taken_in_the_end(warehouse, inbox, query):
    path = put(inbox("sales") / "a.csv", b"at,name,quantity\n2026-03-01 10:00:00,a,1\n2026-03-01 10:05:00,b,2")
    assert counted(ingest("sales")) == [(1, 1, 0, False)]
    os.utime(path, (time.time() - files.UNENDED_SECONDS - 10,) * 2)
    assert counted(ingest("sales")) == [(1, 1, 0, False)]
    assert ingest("sales") == []
    assert query("select properties->>'quantity' from raw.events order by occurred_at") == [("1",), ("2",)]


def test_a_csv_that_grew_is_read_on_with_its_header(warehouse, inbox, query):
    header, first = b"at,name,quantity\n", b'2026-03-01 10:00:00,"two\nlines, ""quoted""",1\n'
    path = put(inbox("sales") / "a.csv", header + first + b'2026-03-01 10:01:00,"a line\n')  # ends inside of quotes
    assert counted(ingest("sales")) == [(1, 1, 0, False)]
    rest = b'2026-03-01 10:01:00,"a line\nand its end",2\n2026-03-01 10:02:00,c,3\n'
    put(path, header + first + rest, age=50)
    assert counted(ingest("sales")) == [(2, 2, 0, False)]
    assert query("select properties->>'name' from raw.events order by occurred_at") == [
        ('two\nlines, "quoted"',),
        ("a line\nand its end",),
        ("c",),
    ]
    assert query("select split_part(event_id, ':', 2)::int from raw.events order by 1") == [(1,), (2,), (3,)]


def test_a_packed_file_that_changed_is_another_file(warehouse, inbox, write):
    packed = inbox("app") / "a.jsonl.gz"
    put(packed, write("1.gz", [event(1)]).read_bytes())
    ingest("app")
    put(packed, write("2.gz", [event(1), event(2)]).read_bytes(), age=50)
    assert counted(ingest("app")) == [(2, 1, 1, False)]


rows = st.lists(st.sampled_from([b"a", b'"b\nb"', b'"c""c"', b'""', b"", b'"\n\n"']), min_size=1, max_size=8)


@given(rows, st.lists(st.integers(0, 200), max_size=4))
@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_however_a_csv_is_cut_while_it_grows_it_is_read_as_if_it_had_been_whole(inbox, names, cuts):
    body = b"".join(b"2026-03-01 10:%02d:00,%s,%d\n" % (n, name, n) for n, name in enumerate(names))
    content = b"at,name,quantity\n" + body
    cursor, found, path = None, [], inbox("sales") / "grown.csv"
    for cut in [*sorted(cuts), len(content)]:
        file = files.local(put(path, content[:cut]))
        if arrival := files.arrival(file, "csv", cursor, is_ended=False):
            with arrival.opened() as stream:
                batches = list(READERS["csv"](stream, sources()["sales"]))
            assert not any(batch.refusals for batch in batches)
            read = [row for batch in batches for row in batch.frame.iter_rows(named=True)]
            found += [(arrival.skipped + row["position"], json.loads(row["properties"])) for row in read]
            cursor = arrival.cursor(arrival.skipped + len(read))
            assert cursor["end"] <= cut
    texts = {b"a": "a", b'"b\nb"': "b\nb", b'"c""c"': 'c"c', b'"\n\n"': "\n\n"}
    expected = [{"quantity": str(n)} | ({"name": texts[name]} if name in texts else {}) for n, name in enumerate(names)]
    assert found == list(enumerate(expected, 1))


# Names, links, vanishing ----------------------------------------------------------------------------------------------


def test_a_link_that_leads_out_of_the_watched_folder_is_refused_and_one_inside_is_the_same_file(
    warehouse, inbox, tmp_path, query
):
    secret = put(tmp_path / "elsewhere" / "secret.jsonl", lines(1))
    inside = put(inbox("app") / "a.jsonl", lines(2))
    (inbox("app") / "b.jsonl").symlink_to(inside)
    (inbox("app") / "c.jsonl").symlink_to(secret)
    (inbox("app") / "d.jsonl").symlink_to("../../../elsewhere/secret.jsonl")
    (inbox("app") / "deep").symlink_to(secret.parent)
    (inbox("app") / "dangling.jsonl").symlink_to(tmp_path / "nothing")
    with pytest.raises(NotAllLoaded) as caught:
        ingest("app")
    assert counted(caught.value.loads) == [(1, 1, 0, False), (1, 1, 0, True)]
    assert {Path(path).name for path in caught.value.failures} == {"c.jsonl", "d.jsonl"}
    assert all("leads out of its folder" in sentence for sentence in caught.value.failures.values())
    assert query("select count(*) from raw.events") == [(1,)]
    assert counted(ingest("app", [inbox("app") / "c.jsonl"])) == [(1, 1, 0, False)]  # named by hand, it is meant


def test_odd_names_are_only_names(warehouse, inbox, query):
    for number, name in enumerate(["a..b", "a b", "ä", "'; drop table raw.events; --", "%s", "\udcff"]):
        put(inbox("app") / f"{name}.jsonl", lines(number))
    assert len(ingest("app")) == 6
    assert ingest("app") == []
    assert query("select count(distinct locator) from raw.loads") == [(6,)]


def test_a_pattern_cannot_lead_out_of_the_folder(configure):
    configure("sources: {app: {path: inbox, pattern: '../*'}}")
    with pytest.raises(TidemarkError, match=r"sources.yml:1 .*pattern"):
        sources()


def test_a_file_that_vanishes_or_changes_while_it_is_read_leaves_nothing(warehouse, inbox, monkeypatch, query):
    path = put(inbox("app") / "a.jsonl", lines(1, 2))
    true = files.arrival

    def vanishing(*arguments, **options):
        found = true(*arguments, **options)
        path.unlink()
        return found

    monkeypatch.setattr(files, "arrival", vanishing)
    with pytest.raises(NotAllLoaded, match="cannot be read"):
        ingest("app")
    monkeypatch.setattr(files, "arrival", true)
    assert ingest("app") == []

    put(path, lines(1, 2))

    def rewritten(*arguments, **options):
        found = true(*arguments, **options)
        put(path, lines(8, 9), age=30)
        return found

    monkeypatch.setattr(files, "arrival", rewritten)
    with pytest.raises(NotAllLoaded, match="changed while it was read"):
        ingest("app")
    assert query("select count(*) from raw.events") == query("select count(*) from raw.loads") == [(0,)]
    monkeypatch.setattr(files, "arrival", true)
    assert counted(ingest("app")) == [(2, 2, 0, False)]


def test_what_is_broken_stands_in_a_table_since_when_until_it_is_mended(warehouse, inbox):
    path = put(inbox("app") / "cut.jsonl.gz", b"\x1f\x8b\x08cut")
    put(inbox("app") / "a.jsonl", lines(1))
    since = set()
    for _ in range(2):
        with pytest.raises(NotAllLoaded, match="not a whole packed file"):
            ingest("app")
        with database.connect() as connection:
            (failure,) = standing_failures(connection)
            assert failure["locator"] == str(path) and failure["source"] == "app"
            since.add(failure["since"])
    assert len(since) == 1
    path.unlink()
    assert ingest("app") == []
    with database.connect() as connection:
        assert standing_failures(connection) == []


# Side by side ---------------------------------------------------------------------------------------------------------


def test_a_folder_read_by_several_at_once_and_replayed_is_loaded_once(warehouse, inbox, query):
    for number in range(6):
        put(inbox("app") / f"{number}.jsonl", lines(number, number + 10))
    with ThreadPoolExecutor(3) as pool:
        loads = [load for some in pool.map(lambda _: ingest("app"), range(3)) for load in some]
    assert len(loads) == 6
    assert ingest("app") == []
    assert all(load.is_repeat for load in ingest("app", [inbox("app")]))
    assert query("select count(*), sum(loaded) from raw.loads") == [(6, 12)]


def test_who_does_not_wait_is_told_that_a_source_is_being_read(warehouse, inbox):
    put(inbox("app") / "a.jsonl", lines(1))
    with database.connect(autocommit=True) as other:
        other.execute("select pg_advisory_lock(7461, hashtext('app'))")
        with pytest.raises(SourceBusy, match="'app' is being read"):
            ingest("app", wait=False)
        assert ingest("sales", wait=False) == []
    assert len(ingest("app", wait=False)) == 1


# Object storage -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def s3():
    """A client of a server that speaks S3's protocol, and its address."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=address, aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1"
    )
    yield client, address
    server.stop()


@pytest.fixture
def bucket(s3, configure, monkeypatch):
    """Put objects into an empty bucket, which is the source `lake`."""
    client, address = s3
    name = f"events-{time.time_ns()}"
    client.create_bucket(Bucket=name)
    monkeypatch.setenv("LAKE_SECRET", "quite-secret")
    storage = f"{{key: k, secret: '${{LAKE_SECRET}}', endpoint_url: '{address}'}}"
    configure(f"sources: {{lake: {{path: 's3://{name}/in', pattern: '*.jsonl*', storage: {storage}}}}}")

    def put_object(key: str, content: bytes) -> None:
        client.put_object(Bucket=name, Key=key, Body=content)

    put_object.bucket = name
    return put_object


def test_object_storage_is_a_folder_too(warehouse, bucket, query, write):
    assert ingest("lake") == []
    bucket("in/2026/a.jsonl", lines(1, 2))
    bucket("in/b.jsonl.gz", write("b.gz", [event(3)]).read_bytes())
    for key in ("in/readme.txt", "in/.hidden.jsonl", "in/c.jsonl.part", "other/d.jsonl"):
        bucket(key, lines(9))
    loads = ingest("lake")
    assert [load.locator for load in loads] == [
        f"s3://{bucket.bucket}/in/2026/a.jsonl",
        f"s3://{bucket.bucket}/in/b.jsonl.gz",
    ]
    assert counted(loads) == [(2, 2, 0, False), (1, 1, 0, False)]
    assert ingest("lake") == []
    bucket("in/2026/a.jsonl", lines(1, 2, 3))
    bucket("in/copy.jsonl", lines(1, 2, 3))
    assert counted(ingest("lake")) == [(1, 1, 0, False), (1, 1, 0, True)]
    bucket("in/../../escape/x.jsonl", lines(7))
    assert len(ingest("lake")) == 1
    assert query("select count(*) from raw.events") == [(5,)]


def test_storage_that_does_not_answer_is_said_without_its_secret(warehouse, bucket, configure, monkeypatch, caplog):
    text = "sources: {lake: {path: 's3://b/in', storage: {key: k, secret: '${LAKE_SECRET}', endpoint_url: '%s'}}}"
    configure(text % "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(NotAllLoaded, match="s3://b/in cannot be listed") as caught:
        ingest("lake")
    assert "quite-secret" not in str(caught.value) + caplog.text
    folder = configure(text % "http://127.0.0.1:9")
    monkeypatch.delenv("LAKE_SECRET")
    with pytest.raises(TidemarkError) as caught:
        ingest("lake")
    assert str(caught.value).startswith(f"{folder / 'sources.yml'}:1 needs LAKE_SECRET, which is not set")


def test_a_folder_is_reached_when_it_is_there_or_is_yet_to_be_made(warehouse, configure, home, tmp_path, write):
    mounted = tmp_path / "mounted"
    configure(f"sources: {{inbox: {{path: inbox}}, share: {{path: {mounted}, pattern: '*.jsonl'}}}}")
    assert reach("inbox") == f"{home / 'inbox'}: is made at the first look"
    with pytest.raises(TidemarkError, match=f"{mounted} is no folder that can be read"):
        reach("share")
    assert not mounted.exists()
    for name in ("a.jsonl", "b.txt"):
        write(f"mounted/{name}", [event(1)])
    assert reach("share") == f"{mounted}: 1 files"


def test_object_storage_is_reached_by_listing_it(warehouse, bucket):
    bucket("in/a.jsonl", b"")
    assert reach("lake") == f"s3://{bucket.bucket}/in: 1 files"
