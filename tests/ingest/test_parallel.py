"""Several loaders and readers side by side: nothing twice, nothing missed, no error."""

import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg

from orchestration.ingest.loader import ingest
from tests.ingest.conftest import event


def watched(warehouse: str, work) -> list[int]:
    """What `work` returned a reader that polls for new loads while it ran: the load_ids, in the order it saw them.

    The reader asks only for what is above the greatest that it has seen, as every tide mark does.
    """
    done = threading.Event()
    seen: list[int] = []

    def read() -> None:
        with psycopg.connect(warehouse, autocommit=True) as connection:
            is_last = False
            while not is_last:
                is_last = done.is_set()
                query = "select load_id from raw.loads where load_id > %s order by load_id"
                seen.extend(n for (n,) in connection.execute(query, [seen[-1] if seen else 0]))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        work()
    finally:
        done.set()
        reader.join()
    return seen


def test_loaders_on_the_same_files_load_each_event_once(write, query):
    files = [write(f"{n}.jsonl", [event(m) for m in range(n * 20, n * 20 + 30)]) for n in range(12)]
    orders = [files, files[::-1], files[5:] + files[:5]]
    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(lambda order: ingest("native", order), orders))
    assert [len(loads) for loads in outcomes] == [12, 12, 12]
    assert sum(not load.is_repeat for loads in outcomes for load in loads) == 12
    assert query("select count(*), sum(received), sum(loaded) from raw.loads") == [(12, 360, 250)]
    assert query("select count(*) from raw.events") == query("select count(*) from raw.identities") == [(250,)]


def test_a_reader_that_polls_the_newest_load_misses_none_of_four_writers(write, query, warehouse):
    chance = random.Random(4)
    files = [
        [write(f"{writer}/{n}.jsonl", [event(m, event_id=None) for m in range(chance.choice([1, 5, 400]))])]
        for writer in range(4)
        for n in range(10)
    ]
    for number, (path,) in enumerate(files):  # no two of the same bytes
        path.write_text(path.read_text() + "\n" * number)

    def work() -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda paths: ingest("native", paths), files))

    seen = watched(warehouse, work)
    committed = query("select load_id, committed_at from raw.loads order by load_id")
    assert seen == [load_id for load_id, _ in committed]
    assert len(seen) == 40
    times = [committed_at for _, committed_at in committed]
    assert all(earlier <= later for earlier, later in itertools.pairwise(times))


def test_the_same_file_under_two_names_at_once_is_one_load(write, query):
    lines = [event(n, event_id=None) for n in range(500)]
    first, second = write("a.jsonl", lines), write("b.jsonl", lines)
    with ThreadPoolExecutor(2) as pool:
        ((one,), (other,)) = pool.map(lambda path: ingest("native", [path]), [first, second])
    assert one.load_id == other.load_id and one.is_repeat != other.is_repeat
    assert query("select count(*) from raw.events") == [(500,)]


def test_a_folder_given_again_and_again_changes_nothing(write, query, content, tmp_path):
    lines = [event(1), event(2, event_id=None), event(2, event_id=None), event(1, occurred_at="2026-03-04T00:00:00Z")]
    for name in ("in/a.jsonl", "in/b.jsonl.gz"):
        write(name, lines)
    write("in/deep/c.jsonl", [*lines, event(3), "oops"])
    folder = [tmp_path / "in"]
    ingest("native", folder)
    everything = "select (select count(*) from raw.loads), (select count(*) from raw.quarantine)"
    before = content(), query(everything)
    for _ in range(2):
        assert all(load.is_repeat for load in ingest("native", folder))
        assert (content(), query(everything)) == before
