"""Erasing a person: what is theirs goes, what mentions them loses the name, and totals become those without them.

Raw events go, and their hours are touched; tables that dbt builds follow by a refresh, which the caller gives. Every
other table and file is found and made nameless by `carriers` and `files`. What was done is the certificate's to say.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from orchestration.errors import TidemarkError
from orchestration.privacy import archive, carriers, files, retention
from orchestration.settings import settings
from orchestration.warehouse import audit, database, marks
from orchestration.warehouse.names import (
    HashedNames,
    KnownNames,
    Names,
    forms,
    found_in,
    hash_key,
    hashed,
    masked,
    masked_json,
    suppressed,
)

RETRAIN_WITHIN = timedelta(days=30)
REPLAY = "replay of the suppression list"

_EVENTS = """
    select tableoid::regclass::text as partition, source, event_id, event_type, occurred_at, load_id, user_id,
           session_id, properties::text as properties
    from raw.events
    where lower(user_id collate "C") like any(%(whole)s)
       or lower(properties::text collate "C") like any(%(likes)s)
       or lower(event_id collate "C") like any(%(likes)s)
       or lower(session_id collate "C") like any(%(likes)s)
       or lower(event_type collate "C") like any(%(likes)s)"""


@dataclass
class Erased:
    """What an erasure did. `found` and `done` count by place: a table with its columns, or a folder of files."""

    erasure_id: int
    reason: str
    begun_at: datetime
    hashes: dict[bytes, int]
    found: Counter = field(default_factory=Counter)
    done: dict[str, Counter] = field(default_factory=dict)
    searched: dict[str, list[str]] = field(default_factory=dict)
    files_searched: int = 0
    remaining: dict[str, str] = field(default_factory=dict)  # by place, why
    load_id: int | None = None
    touched_hours: int = 0
    partitions: set[str] = field(default_factory=set)  # of raw.events, in which something was changed
    models: list[str] = field(default_factory=list)
    retrain_by: datetime | None = None
    frozen_days: int = 0
    refreshed: bool = True
    kept: dict[str, int] = field(default_factory=dict)  # rows that stay for good, by table
    out_of_reach: dict[str, str] = field(default_factory=dict)  # by address, the exports that were put there

    def count(self, place: str, what: str, number: int = 1) -> None:
        self.found[place] += number
        self.done.setdefault(place, Counter())[what] += number


def erase(subjects: list[str], reason: str, refresh: Callable[[], bool], actor: str | None = None) -> Erased:
    """Erase the person who is known by these names; twice is once, and completes what could not be done before.

    `refresh` brings the tables up to date and says whether it could. Raises TidemarkError for a name that is too short
    to be looked for.
    """
    for subject in subjects:
        if len(subject.strip()) < 1 or "%" in subject:
            raise TidemarkError(f"{subject!r} cannot be looked for: give the person's user_id, or their mail address.")
    if not reason.strip():
        raise TidemarkError("An erasure needs a reason, such as --reason 'request of 3 March'.")
    names = KnownNames(forms(subjects))
    reason = masked(names, reason)
    with database.connect(autocommit=True) as connection:
        retention.alone(connection)
        done = _begin(connection, names, reason, actor)
        erase_events(connection, names, done)
        _erase_quarantine(connection, names, done)
        _erase_archives(connection, names, done)
        _erase_files(connection, names, done)
        _erase_rows(connection, names, done, built=False)
        _mark_models(connection, done)
    done.refreshed = refresh()
    with database.connect(autocommit=True) as connection:
        if done.refreshed:
            _erase_rows(connection, names, done, built=True)
            _refresh_views(connection, names)
        query = "delete from ops.changed_entities where lower(name) = any(%s)"  # written by the refresh
        connection.execute(query, [[name.lower() for name in names.names]])
        _erase_rows(connection, names, done, built=False)
        _erase_files(connection, names, done)
    with dagster_database() as connection:
        if connection is not None:
            _erase_rows(connection, names, done, built=False, database_name=database.DAGSTER)
    search(names, done)
    vacuum(done)
    with database.connect() as connection:
        connection.execute(
            """update ops.erasures set load_id = coalesce(%s, load_id),
                   completed_at = case when %s then clock_timestamp() end
               where erasure_id = %s""",
            [done.load_id, not done.remaining, done.erasure_id],
        )
        audit.record(
            connection,
            "person erased",
            f"erasure {done.erasure_id}",
            actor=actor,
            reason=reason,
            rows=sum(done.found.values()),
            personal=["everything"],
            remaining=sorted(done.remaining),
        )
    return done


def _begin(connection: psycopg.Connection, names: KnownNames, reason: str, actor: str | None) -> Erased:
    """Suppress the names first: no load that begins from now on stores anything of them."""
    key = hash_key()
    hashes = {hashed(name, key): len(name) for name in names.names}
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [marks.LOAD_LOCK])  # loads under way end before
        erasure_id, begun_at = connection.execute(
            """insert into ops.erasures (reason, actor) values (%s, coalesce(%s, session_user))
               returning erasure_id, begun_at""",
            [reason, actor],
        ).fetchone()
        suppress(connection, hashes, erasure_id)
    return Erased(erasure_id, reason, begun_at, hashes)


def suppress(connection: psycopg.Connection, hashes: dict[bytes, int], erasure_id: int) -> None:
    """Put hashes on the list in the database and on the one beside it, which outlives the database."""
    known = {bytes.fromhex(entry["hash"]) for entry in listed()}
    fresh = [(name, length) for name, length in hashes.items() if name not in known]
    if fresh:
        with _list().open("a") as lines:
            for name, length in fresh:
                entry = {
                    "hash": name.hex(),
                    "length": length,
                    "erasure": erasure_id,
                    "since": datetime.now(UTC).isoformat(),
                }
                lines.write(json.dumps(entry) + "\n")
    for name, length in hashes.items():
        connection.execute(
            "insert into ops.suppressed (hash, length, erasure_id) values (%s, %s, %s) on conflict do nothing",
            [name, length, erasure_id],
        )


def listed() -> list[dict]:
    """The suppression list of TIDEMARK_HOME: hash, length, erasure, since."""
    return [json.loads(line) for line in _list().read_text().splitlines()] if _list().exists() else []


def _list() -> Path:
    return settings().directory(".") / "suppressed.jsonl"


# Raw events ---------------------------------------------------------------------------------------------------------


def erase_events(connection: psycopg.Connection, names: KnownNames, done: Erased) -> None:
    """Remove the person's events, take their names out of other people's, and touch the hours of both.

    Looking for them holds nobody up; only what was found is changed under the loads' lock.
    """
    with connection.transaction():
        connection.execute("set local max_parallel_workers_per_gather = 2")
        values = {"whole": names.whole, "likes": names.likes}
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(_EVENTS, values).fetchall()
    own = [row for row in rows if row["user_id"] is not None and names.is_one(row["user_id"])]
    others = [row for row in rows if not (row["user_id"] is not None and names.is_one(row["user_id"]))]
    others = [row for row in others if _mentions(names, row)]
    if not (own or others):
        return
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [marks.LOAD_LOCK])
        before = _horizon(connection)
        moments = [row["occurred_at"] for row in own + others]
        for source in sorted({row["source"] for row in own}):
            moments += _take_out(connection, source, [row for row in own if row["source"] == source])
        for row in others:
            _make_event_nameless(connection, names, row)
        _correct_ledger(connection, own)
        done.load_id = marks.touch_moments(connection, moments, "erasure", f"erasure {done.erasure_id}")
        done.touched_hours = marks.touch_between(connection, done.load_id, before, _horizon(connection))
    done.partitions = {row["partition"] for row in own + others}
    done.count("raw.events", "removed", len(own))
    done.count("raw.events", "made nameless", len(others))


def _mentions(names: Names, row: dict) -> bool:
    """Whether an event of somebody else names the person."""
    texts = [row["event_id"], row["session_id"] or "", row["event_type"]]
    return any(any(names.spans(text)) for text in texts) or bool(found_in(names, json.loads(row["properties"])))


def _take_out(connection: psycopg.Connection, source: str, rows: list[dict]) -> list[datetime]:
    """Delete events of a source with their identities; return when those happened that they voided."""
    for partition in sorted({row["partition"] for row in rows}):
        here = [row for row in rows if row["partition"] == partition]
        query = "delete from {} where source = %s and occurred_at = any(%s) and event_id = any(%s)"
        connection.execute(
            sql.SQL(query).format(sql.Identifier(*partition.split("."))),
            [source, [row["occurred_at"] for row in here], [row["event_id"] for row in here]],
        )
    values = {"source": source, "ids": [row["event_id"] for row in rows]}
    unvoided = connection.execute(
        """with voids as (
               delete from raw.voids where source = %(source)s and event_id = any(%(ids)s) returning voided_id
           )
           select occurred_at from voids join raw.identities on identity = raw.identity_of(%(source)s, voided_id)""",
        values,
    ).fetchall()
    connection.execute("delete from raw.consents where source = %(source)s and event_id = any(%(ids)s)", values)
    connection.execute(
        "delete from raw.identities where identity = any(select raw.identity_of(%(source)s, unnest(%(ids)s::text[])))",
        values,
    )
    return [moment for (moment,) in unvoided]


def _make_event_nameless(connection: psycopg.Connection, names: Names, row: dict) -> None:
    partition = sql.Identifier(*row["partition"].split("."))
    event_id = row["event_id"]
    if any(names.spans(event_id)):  # it stays apart from others whose names were taken out
        event_id = f"{masked(names, event_id)}-{hashed(event_id, hash_key()).hex()[:12]}"
    query = sql.SQL(
        """update {} set event_id = %s, event_type = %s, session_id = %s, properties = %s
           where source = %s and event_id = %s and occurred_at = %s"""
    ).format(partition)
    session_id = row["session_id"] and masked(names, row["session_id"])
    changed = [event_id, masked(names, row["event_type"]), session_id, masked_json(names, row["properties"])]
    connection.execute(query, [*changed, row["source"], row["event_id"], row["occurred_at"]])


def _horizon(connection: psycopg.Connection) -> datetime | None:
    return connection.execute("select ops.final_before(max(load_id)) from raw.loads").fetchone()[0]


def _correct_ledger(connection: psycopg.Connection, rows: list[dict]) -> None:
    """Count what was removed as suppressed in its load, and have the load's newest event be one that is there.

    Finality follows from the newest events: it becomes that of a world without the person.
    """
    newest: dict[int, datetime] = {}
    for row in rows:
        newest[row["load_id"]] = max(row["occurred_at"], newest.get(row["load_id"], row["occurred_at"]))
    counts = Counter(row["load_id"] for row in rows)
    for load_id, number in counts.items():
        connection.execute(
            """update raw.loads
               set loaded = loaded - %(number)s, suppressed = suppressed + %(number)s,
                   newest_at = case when newest_at > %(gone)s then newest_at else coalesce((
                       select newest.occurred_at
                       from raw.touched_hours
                       cross join lateral (
                           select occurred_at from raw.events
                           where occurred_at >= touched_hours.hour
                             and occurred_at < touched_hours.hour + interval '1 hour'
                             and load_id = %(load)s
                           order by occurred_at desc limit 1
                       ) as newest
                       where touched_hours.load_id = %(load)s
                       order by hour desc limit 1
                   ), (  -- of events that have expired, the hours are still known
                       select max(hour) from raw.touched_hours
                       join ops.expired_days on expired_days.day = (hour at time zone 'UTC')::date
                       where load_id = %(load)s and loaded > %(number)s
                   )) end
               where load_id = %(load)s""",
            {"load": load_id, "number": number, "gone": newest[load_id]},
        )


# All else -----------------------------------------------------------------------------------------------------------


def _erase_quarantine(connection: psycopg.Connection, names: Names, done: Erased) -> None:
    """Remove refused records whose bytes name the person, and count them as suppressed in their loads."""
    carrier = next(each for each in carriers.carriers(connection) if each.relation == "raw.quarantine")
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        ctids = [row.ctid for row in carriers.search(connection, carrier, names) if "payload" in row.names]
        query = "select quarantine_id from raw.quarantine where ctid = any(%s::text[]::tid[])"
        ids = [quarantine_id for (quarantine_id,) in connection.execute(query, [ctids]).fetchall()]
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [marks.LOAD_LOCK])
        gone = connection.execute(
            """with gone as (delete from raw.quarantine where quarantine_id = any(%s) returning load_id)
               update raw.loads
               set quarantined = quarantined - number, suppressed = suppressed + number
               from (select load_id, count(*) as number from gone group by 1) as counted
               where loads.load_id = counted.load_id
               returning number""",
            [ids],
        ).fetchall()
    if gone:
        done.count("raw.quarantine", "removed", sum(number for (number,) in gone))


def _erase_archives(connection: psycopg.Connection, names: KnownNames, done: Erased) -> None:
    for path in archive.archives():
        removed, nameless = archive.erase(connection, path, names)
        if removed or nameless:
            done.count("archive/raw.events", "removed", removed)
            done.count("archive/raw.events", "made nameless", nameless)


def _erase_files(connection: psycopg.Connection, names: Names, done: Erased) -> None:
    for named in list(files.search(names)):
        if named.path.exists() and not named.place.startswith("archive/"):
            said = files.make_nameless(connection, named, names)
            done.count(named.folder, said.partition(":")[0])


def _erase_rows(
    connection: psycopg.Connection, names: Names, done: Erased, *, built: bool, database_name: str = ""
) -> None:
    """Go through every table but raw events; those that dbt builds only after they were built again."""
    for carrier in carriers.carriers(connection):
        if carrier.is_event or carrier.kind != "r" or carrier.relation in carriers.KEPT:
            continue
        if carrier.is_built != built or carrier.is_tally:
            continue
        with connection.transaction():
            for found in list(carriers.search(connection, carrier, names, lock=True)):
                said = carriers.make_nameless(connection, carrier, found, names)
                done.count(_place(database_name, carrier), said)


def _place(database_name: str, carrier: carriers.Carrier) -> str:
    return f"{database_name}: {carrier.relation}" if database_name else carrier.relation


def _refresh_views(connection: psycopg.Connection, names: Names) -> None:
    """Materialized views that still name the person are read again from tables that do not."""
    for carrier in carriers.carriers(connection):
        if carrier.kind == "m":
            with connection.transaction():
                is_named = next(carriers.search(connection, carrier, names), None) is not None
            if is_named:
                connection.execute(sql.SQL("refresh materialized view {}").format(carrier.identifier))


def _mark_models(connection: psycopg.Connection, done: Erased) -> None:
    """Whatever serves or may serve has learned from everybody: it is to be trained again within the deadline."""
    if not done.touched_hours:
        return
    rows = connection.execute(
        """update ml.models set retrain_by = clock_timestamp() + %s
           where retrain_by is null and load_id < %s returning model_id, stage, retrain_by""",
        [RETRAIN_WITHIN, done.load_id],
    ).fetchall()
    done.models = sorted(model for model, stage, _ in rows if stage in ("serving", "candidate"))
    done.retrain_by = rows[0][2] if rows else None


def dagster_database():
    """A connection to Dagster's own database where there is one, to be used as a context; else to nothing."""
    from contextlib import nullcontext

    target = database.sibling(database.DAGSTER)
    return psycopg.connect(target, autocommit=True) if target else nullcontext()


# Searching again ----------------------------------------------------------------------------------------------------


def search(names: Names, done: Erased) -> None:
    """Look through every table and column of both databases and every file; fill in what was searched and remains."""
    done.remaining, done.searched, done.kept = {}, {}, {}
    with database.connect(autocommit=True) as connection:
        held = "" if done.refreshed else ", for the refresh was not completed: mend that, and erase again"
        _search_database(connection, names, done, "", held)
        done.frozen_days = connection.execute("select count(*) from ops.frozen_days").fetchone()[0]
    with dagster_database() as connection:
        if connection is not None:
            _search_database(connection, names, done, database.DAGSTER, "")
    done.files_searched = sum(1 for _ in files.everything())
    for named in files.search(names):
        done.remaining[named.place] = "the file names them"
    done.out_of_reach = files.out_of_reach()


def _search_database(connection: psycopg.Connection, names: Names, done: Erased, database_name: str, why: str) -> None:
    for carrier in carriers.carriers(connection):
        place = _place(database_name, carrier)
        done.searched[place] = sorted(carrier.columns)
        with connection.transaction():
            number = sum(1 for _ in carriers.search(connection, carrier, names))
        if number and carrier.relation in carriers.KEPT:
            done.kept[place] = number
        elif number:
            done.remaining[place] = f"{number} rows name them{why}"


def vacuum(done: Erased) -> None:
    """Have the database overwrite what was removed, in the partitions and tables from which something was."""
    with database.connect(autocommit=True) as connection:
        for carrier in carriers.carriers(connection):
            if carrier.kind == "r" and (carrier.is_tally or carrier.relation in done.partitions | done.done.keys()):
                connection.execute(sql.SQL("vacuum {}").format(carrier.identifier))


# After a restored backup --------------------------------------------------------------------------------------------


def recover_names(names: HashedNames) -> list[str]:
    """Who of the suppressed is in the databases and files after all: the names as they are written there."""
    found: set[str] = set()
    with database.connect(autocommit=True) as connection:
        for carrier in carriers.carriers(connection):
            with connection.transaction():
                for row in carriers.search(connection, carrier, names):
                    found |= set().union(*row.names.values())
    for named in files.search(names):
        found |= named.names
    return sorted(found)


def replay(refresh: Callable[[], bool], actor: str | None = None) -> Erased | None:
    """Erase again whoever is on the suppression list of TIDEMARK_HOME and stands in a database that was restored.

    Returns None where nobody of them is there.
    """
    with database.connect() as connection:
        for entry in listed():
            suppress(connection, {bytes.fromhex(entry["hash"]): entry["length"]}, entry["erasure"])
        names = suppressed(connection)
    found = recover_names(names) if names else []
    return erase(found, REPLAY, refresh, actor) if found else None
