"""An export as a whole: increments that add up, what is recorded and told, places that never show half a file."""

import asyncio
import json
import threading
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.exports import formats, schedules, selection
from orchestration.exports.export import export
from orchestration.outbox.delivery import deliver
from orchestration.settings import ROOT, Export
from orchestration.warehouse import audit
from tests.exports.conftest import read_jsonl
from tests.outbox.conftest import Receiver

FIRST = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def hourly(warehouse) -> psycopg.Connection:
    """A warehouse in which api.figures shows a table that stands at a tide mark, its hours the loads' touched ones."""
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute(
            """create table views.figures (hour timestamptz, name text, value numeric, primary key (hour, name));
               create view api.figures as select * from views.figures;
               create view api.figures_by_name as select name, sum(value) as value from views.figures group by 1;
               insert into ops.definitions (relation, definition) values ('views.figures', 'one')"""
        )
        yield connection


def load(connection: psycopg.Connection, number: int, figures: dict[int, dict[str, int]]) -> None:
    """A load that touches hours, and the refresh that follows: by hour, what stands there then."""
    connection.execute(
        """insert into raw.loads (load_id, source, locator, checksum, received, loaded, duplicate, quarantined,
                                  suppressed, newest_at, started_at)
           values (%s, 's', 'f', %s, 1, 1, 0, 0, 0, '2026-03-01 00:00+00', now())""",
        [number, str(number)],
    )
    for offset, values in figures.items():
        hour = FIRST + timedelta(hours=offset)
        connection.execute("insert into raw.touched_hours (load_id, hour) values (%s, %s)", [number, hour])
        connection.execute("delete from views.figures where hour = %s", [hour])
        for name, value in values.items():
            connection.execute("insert into views.figures values (%s, %s, %s)", [hour, name, value])
    connection.execute(
        """insert into ops.tidemarks (table_name, load_id) values ('views.figures', %s)
           on conflict (table_name) do update set load_id = excluded.load_id""",
        [number],
    )


def applied(copy: list[dict], manifest: dict, rows: list[dict]) -> list[dict]:
    """What a receiver does: delete what the manifest says is replaced, insert the file's rows."""
    if manifest["replaces"] == "everything":
        return rows
    replaced = {json.dumps(value, default=lambda one: one.isoformat()) for (value,) in manifest["replaces"]["values"]}
    return [row for row in copy if json.dumps(row["hour"]) not in replaced] + rows


def test_increments_add_up_to_the_whole_and_vanished_rows_vanish(hourly, home):
    feed = Export(table="figures", format="jsonl", incremental=True)
    load(hourly, 1, {0: {"a": 1, "b": 2}, 1: {"a": 3}, 2: {"a": 4}})
    copy: list[dict] = []
    steps = [{}, {1: {"a": 30, "c": 1}}, {0: {}, 5: {"a": 9}}]
    for number, step in enumerate(steps, 1):
        if step:
            load(hourly, number, step)
        done = export("feed", feed, "a test")
        assert done.manifest["load_id"] == number and done.manifest["since"] == (number - 1 or None)
        copy = applied(copy, json.loads(Path(done.files[1]).read_text()), read_jsonl(Path(done.files[0])))
        stored = {(hour, name): value for hour, name, value in hourly.execute("select * from views.figures")}
        assert {(datetime.fromisoformat(row["hour"]), row["name"]): row["value"] for row in copy} == stored
    assert export("feed", feed, "a test").files == []  # nothing changed
    by_hand = export("figures", Export(table="figures", format="jsonl"), "a test", since=1)
    assert by_hand.manifest["rows"] == 3 and len(by_hand.manifest["replaces"]["values"]) == 3
    # Another definition computes everything again, and another condition asks for other rows: both begin anew.
    hourly.execute("update ops.definitions set definition = 'two'")
    assert export("feed", feed, "a test").manifest["replaces"] == "everything"
    other = feed.model_copy(update={"where": ["name=a", "name=c", "hour>=2026-03-01T01:00+00:00"]})
    assert {row["name"] for row in read_jsonl(Path(export("feed", other, "a test").files[0]))} == {"a", "c"}
    with pytest.raises(TidemarkError, match=r"figures_by_name does not change by hours, days or periods"):
        export("x", Export(table="figures_by_name", incremental=True), "a test")
    with pytest.raises(TidemarkError, match="stands at tide mark 3"):
        export("x", Export(table="figures"), "a test", since=9)


def test_what_left_is_recorded_and_a_failure_leaves_nothing(probe, take, home, monkeypatch):
    probe.execute("create view api.people as select 'u1' as user_id, 2 as lessons")
    done = take("people", "csv")
    recorded = probe.execute("select actor, action, subject, detail from ops.audit order by audit_id").fetchall()
    assert [row[:3] for row in recorded] == [
        ("a test", "export", "api.people"),
        ("a test", "export delivered", "api.people"),
    ]
    assert recorded[0][3]["personal"] == ["user_id"] and recorded[0][3]["rows"] == 1
    assert recorded[0][3]["sha256"] == sha256(Path(done.files[0]).read_bytes()).hexdigest()
    assert recorded[0][3]["to"] == done.files[0], "erasures look for the file there, also if its delivery is cut short"
    assert {row[3]["export_id"] for row in recorded} == {done.manifest["export_id"]}
    probe.execute("begin")
    assert audit.verify(probe) == 2
    probe.execute("commit")

    seen = []
    monkeypatch.setattr(formats, "CHUNK", 100)

    def look(rows: int) -> None:
        seen.append(sorted(path.name for path in (home / "exports").iterdir() if not path.name.startswith(".")))
        if rows > 10:
            raise KeyboardInterrupt

    for form in ("parquet", "csv", "jsonl", "xlsx"):
        with pytest.raises(KeyboardInterrupt):
            export("probe", Export(table="probe", format=form), "a test", progress=look)
    there = sorted(Path(file).name for file in done.files)
    assert seen and all(names == there for names in seen)
    assert sorted(path.name for path in (home / "exports").iterdir()) == there
    assert probe.execute("select count(*) from ops.audit").fetchone()[0] == 2
    with probe.transaction():
        probe.execute("select pg_advisory_xact_lock(hashtext('export'), hashtext('probe'))")
        with pytest.raises(TidemarkError, match="probe is being exported already"):
            take("probe")


def test_what_cannot_be_exported_is_said_and_no_value_is_sql(probe, take):
    for table, where, sentence in [
        ("marts.nothing", [], "There is no table 'marts.nothing' to export"),
        ("events", [], "There is no table 'events' to export"),
        ("probe", ["colour=red"], "api.probe has no column 'colour'"),
        ("probe", ["n=1; drop table marts.probe"], "A condition does not fit api.probe"),
        ("probe", ["label"], "'label' is no condition"),
        ("probe", ["at>=yesterday"], "'yesterday' is no time for at"),
    ]:
        with pytest.raises(TidemarkError, match=sentence):
            take(table, where=where)
    hostile = "x' or true); drop table marts.probe; --"
    probe.execute("insert into marts.probe (n, label) values (3000, %s)", [hostile])
    assert take("probe", "jsonl", where=[f"label={hostile}"]).manifest["rows"] == 1
    assert take("probe", "jsonl", where=["n>=3000", f"label!={hostile}"]).manifest["rows"] == 0


@pytest.mark.parametrize("column", ["user_id", "seller_id", "name"])
def test_a_condition_that_names_somebody_stands_in_the_audit_under_a_pseudonym(home, column):
    assert selection.nameless("metric = revenue") == "metric = revenue"
    told = selection.nameless(f"{column} != u-4711")
    assert told.startswith(f"{column}!=pn_") and told == selection.nameless(f"{column}!=u-4711")


def test_the_command_says_where_the_files_are(probe, home):
    from click.testing import CliRunner

    from orchestration.cli import tidemark

    said = CliRunner().invoke(tidemark, ["export", "marts.probe", "--format", "csv", "--where", "n=1", "--json"])
    told = json.loads(said.stdout)
    assert told["manifest"]["rows"] == 1 and told["manifest"]["table"] == "marts.probe"
    assert [Path(file).exists() for file in told["files"]] == [True, True]
    wrong = CliRunner().invoke(tidemark, ["export", "probe", "--to", "ftp://example.com"])
    assert wrong.exit_code == 1 and "to: exports go to a folder, or to s3://" in wrong.stderr


# Places -------------------------------------------------------------------------------------------------------------


def test_object_storage_shows_whole_files_only(probe, take, monkeypatch):
    import boto3
    from moto.server import ThreadedMotoServer

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        client = boto3.client("s3", endpoint_url=address, region_name="us-east-1")
        client.create_bucket(Bucket="lake")
        options = {"to": "s3://lake/tidemark", "storage": {"endpoint_url": address}}
        done = take("probe", "jsonl", **options)
        names = [entry["Key"] for entry in client.list_objects_v2(Bucket="lake")["Contents"]]
        assert sorted(names) == sorted(file.removeprefix("s3://lake/") for file in done.files)
        body = client.get_object(Bucket="lake", Key=done.files[0].removeprefix("s3://lake/"))["Body"].read()
        assert sha256(body).hexdigest() == done.manifest["sha256"]
        with pytest.raises(TidemarkError, match="s3://none does not take the export"):
            take("probe", "jsonl", **options | {"to": "s3://none"})
        assert not list((settings.settings().home / "exports").iterdir())
    finally:
        server.stop()


@pytest.fixture
def sftp(tmp_path):
    """A real SFTP server with a key of its own: its port, the folder that it shows, and a file of known hosts."""
    import asyncssh

    folder, known = tmp_path / "served", tmp_path / "known_hosts"
    folder.mkdir()
    key = asyncssh.generate_private_key("ssh-ed25519")

    class Server(asyncssh.SSHServer):
        def password_auth_supported(self):
            return True

        def validate_password(self, username, password):
            return (username, password) == ("feed", "s3cret")

    loop, ready = asyncio.new_event_loop(), threading.Event()
    ports = []

    async def serve():
        server = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=Server, server_host_keys=[key],
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(folder)),
        )  # fmt: skip
        ports.append(server.get_port())
        ready.set()

    def run():
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(20)
    known.write_text(f"[127.0.0.1]:{ports[0]} {key.export_public_key().decode()}")
    yield ports[0], folder, known
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)


def test_an_sftp_server_gets_whole_files_only_if_it_is_the_known_one(probe, take, sftp, monkeypatch, tmp_path):
    port, folder, known = sftp
    monkeypatch.setenv("FEED_PASSWORD", "s3cret")
    to = f"sftp://feed@127.0.0.1:{port}/incoming/daily"
    storage = {"password": "${FEED_PASSWORD}", "known_hosts": str(known)}
    done = take("probe", to=to, storage=storage)
    there = sorted(path.name for path in (folder / "incoming" / "daily").iterdir())
    assert there == sorted(Path(file).name for file in done.files)
    assert sha256((folder / "incoming/daily" / there[1]).read_bytes()).hexdigest() == done.manifest["sha256"]
    assert done.files[0].startswith(f"sftp://127.0.0.1:{port}/incoming/daily/probe-")
    (tmp_path / "others").write_text("")
    with pytest.raises(TidemarkError, match=r"127\.0\.0\.1 does not take the export .*Host key"):
        take("probe", to=to, storage=storage | {"known_hosts": str(tmp_path / "others")})
    (folder / "full").write_text("a file, not a folder")
    with pytest.raises(TidemarkError, match=r"127\.0\.0\.1 does not take the export"):
        take("probe", to=f"sftp://feed@127.0.0.1:{port}/full", storage=storage)
    assert sorted(path.name for path in (folder / "incoming" / "daily").iterdir()) == there


# Configuration ------------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Writes config/exports.yml beside the shipped files: `config(text)`."""
    import shutil

    folder = shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.setenv("TIDEMARK_CONFIG", str(folder))
    return (folder / "exports.yml").write_text


def test_a_webhook_is_told_once_the_file_is_there(probe, config, home, tmp_path, monkeypatch):
    """By a signed request to a real receiver, who verifies it as Standard Webhooks says, and a forged one."""
    receiver, secret = Receiver(), "whsec_" + b64encode(b"a secret of twenty-four").decode()
    monkeypatch.setenv("HOOK", secret)
    alerts = tmp_path / "config" / "alerts.yml"
    url = f"http://127.0.0.1:{receiver.port}/hook"
    hook = f"channels:\n  hook: {{kind: webhook, url: '{url}', allow_private: true, secrets: ['${{HOOK}}']}}\n"
    alerts.write_text(hook + alerts.read_text())
    config('exports:\n  feed: {table: probe, format: csv, webhook: hook, cron: "30 6 * * *", timezone: Asia/Kolkata}\n')
    wanted = settings.exports()["feed"]
    done = export("feed", wanted, "a test")
    assert deliver().sent == 1 and deliver().sent == 0  # once
    ((path, headers, body),) = receiver.received
    receiver.server.shutdown()
    receiver.server.server_close()
    told = Webhook(secret).verify(body, headers)
    assert (path, told["type"], told["data"]["file"]) == ("/hook", "export.ready", done.files[0])
    assert {key: told["data"][key] for key in ("sha256", "rows", "export_id")} == {
        key: done.manifest[key] for key in ("sha256", "rows", "export_id")
    }
    assert sha256(Path(told["data"]["file"]).read_bytes()).hexdigest() == told["data"]["sha256"]
    for forged in (body.replace(b'"rows": ', b'"rows": 1'), body + b" "):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(forged, headers)
    schedule = schedules.schedule("feed", wanted, "UTC")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 6 * * *", "Asia/Kolkata")
    config("exports:\n  feed:\n    table: probe\n    webhook: nobody\n")
    with pytest.raises(TidemarkError, match=r"exports\.yml:4: config/alerts\.yml has no channel 'nobody'"):
        export("feed", settings.exports()["feed"], "a test")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("table: probe; drop", r"exports\.yml:3 exports\.feed\.table"),
        ("table: probe\n    to: ftp://example.com", r"exports\.yml:4 exports\.feed\.to: exports go to a folder"),
        ("table: probe\n    storage: {password: hunter2}", r"exports\.yml:4 .*a secret does not stand in this file"),
        ("table: probe\n    to: sftp://a:b@example.com/x", r"exports\.yml:4 .*a password does not stand in this file"),
        ("table: probe\n    format: xls", r"exports\.yml:4 exports\.feed\.format"),
    ],
)
def test_mistakes_are_told_with_their_line(config, text, sentence):
    config(f"exports:\n  feed:\n    {text}\n")
    with pytest.raises(TidemarkError, match=sentence):
        settings.exports()
