"""The command line: what a person sees when something is wrong, and what a program reads."""

import base64
import json
import shutil
import socket

import pytest
from click.testing import CliRunner

from orchestration.cli import tidemark
from orchestration.settings import ROOT


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A copy of the shipped configuration, to be broken."""
    folder = shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.setenv("TIDEMARK_CONFIG", str(folder))
    return folder


def refused(*arguments: str) -> str:
    """The one sentence on standard error with which a command ends; nothing else was printed."""
    result = CliRunner().invoke(tidemark, arguments)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    sentence = result.stderr.strip()
    assert sentence.startswith("tidemark: ")
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    return sentence


def test_a_missing_file_of_the_configuration(warehouse, config):
    (config / "sources.yml").unlink()
    assert f"{config / 'sources.yml'} does not exist" in refused("ingest", "native")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sources: [", "sources.yml:1"),
        ("sources:\n  shop:\n    format: csv\n    colour: red\n", "sources.yml:4"),
        ("sources:\n  shop:\n    timezone: Mars/Olympus\n", "sources.yml:3"),
        ("sources: {shop: {description: 2026-13-45}}", "sources.yml"),
        ("sources: \x07", "sources.yml"),
    ],
)
def test_a_malformed_file_of_the_configuration_is_named_with_its_line(warehouse, config, text, said):
    (config / "sources.yml").write_text(text)
    assert said in refused("ingest", "native")


def test_an_unknown_time_zone_of_the_tenant(warehouse, config):
    (config / "tenant.yml").write_text("name: A\ntimezone: Mars/Olympus\n")
    sentence = refused("ingest", "native", str(ROOT / "README.md"))
    assert "tenant.yml:2" in sentence
    assert "Europe/Berlin" in sentence


def test_an_unknown_source_names_the_known_ones(warehouse):
    assert "online-retail" in refused("ingest", "nothing-such")


def test_a_file_that_is_not_there(warehouse):
    assert "/nowhere.jsonl does not exist" in refused("ingest", "native", "/nowhere.jsonl")


def test_an_unreadable_file_does_not_stop_the_others(warehouse, tmp_path):
    (tmp_path / "a.jsonl.gz").write_bytes(b"\x1f\x8b\x08\x00 not gzip")
    (tmp_path / "b.jsonl").write_text(
        '{"event_id": "1", "event_type": "page_viewed", "occurred_at": "2026-03-01T10:00:00Z", "user_id": "u"}\n'
    )
    result = CliRunner().invoke(tidemark, ["ingest", "native", "--json", str(tmp_path)])
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert [(load["received"], load["loaded"]) for load in answer["loads"]] == [(1, 1)]
    assert len(answer["failed"]) == 1
    assert "a.jsonl.gz" in answer["failed"][0]


def test_a_database_that_cannot_be_reached(home, monkeypatch):
    monkeypatch.setenv("TIDEMARK_DATABASE_URL", "postgresql://me:secret@127.0.0.1:1/tidemark")
    sentence = refused("status")
    assert "TIDEMARK_DATABASE_URL" in sentence
    assert "secret" not in sentence


@pytest.mark.parametrize("url", ["nonsense", "postgres//me:secret@host/db", "postgresql://me:se%cret@host/db"])
def test_a_database_url_that_is_none_is_not_repeated(home, monkeypatch, url):
    monkeypatch.setenv("TIDEMARK_DATABASE_URL", url)
    sentence = refused("status")
    assert "TIDEMARK_DATABASE_URL" in sentence
    assert "cret" not in sentence


def test_the_demo_does_not_touch_a_database_of_ones_own(warehouse):
    assert "TIDEMARK_DATABASE_URL" in refused("demo")


def test_a_mail_server_that_does_not_answer(warehouse, monkeypatch):
    monkeypatch.setenv("TIDEMARK_SMTP_URL", "smtp://me:secret@127.0.0.1:1")
    result = CliRunner().invoke(tidemark, ["doctor", "--json"])
    assert result.exit_code == 1
    mail = next(check for check in json.loads(result.stdout) if check["check"] == "mail")
    assert not mail["ok"]
    assert "127.0.0.1:1" in mail["detail"]
    assert "secret" not in result.stdout


def test_the_doctor_says_which_sources_cannot_be_reached(warehouse, tmp_path, monkeypatch):
    config = shutil.copytree(ROOT / "config", tmp_path / "config")
    (config / "sources.yml").write_text(
        "sources: {app: {path: inbox}, share: {path: /nowhere/at/all}, by-hand: {format: native}}"
    )
    monkeypatch.setenv("TIDEMARK_CONFIG", str(config))
    result = CliRunner().invoke(tidemark, ["doctor", "--json"])
    found = {check["check"]: check for check in json.loads(result.stdout) if check["check"].startswith("source ")}
    assert {name: check["ok"] for name, check in found.items()} == {"source app": True, "source share": False}
    assert "/nowhere/at/all is no folder that can be read: create it" in found["source share"]["detail"]
    assert result.exit_code == 1


def test_a_port_that_is_taken(home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"Port {port}" in refused("up", "--port", str(port))


def test_an_unknown_report_names_the_known_ones(warehouse):
    assert "executive" in refused("report", "nothing-such")


def test_what_is_in_quarantine_is_shown_as_it_came(warehouse, tmp_path):
    bad = tmp_path / "[red].jsonl"
    bad.write_text('{"a": [red], "b": "[/b]"\n')
    assert CliRunner().invoke(tidemark, ["ingest", "native", str(bad)]).exit_code == 0
    shown = CliRunner().invoke(tidemark, ["quarantine", "show", "1"]).stdout
    assert '{"a": [red], "b": "[/b]"' in shown
    assert "[red].jsonl" in shown
    assert "[red].jsonl" in CliRunner().invoke(tidemark, ["quarantine", "list"]).stdout
    elsewhere = CliRunner().invoke(tidemark, ["quarantine", "list", "--reason", "missing_field"])
    assert "Nothing is in quarantine" in elsewhere.stdout
    assert "missing_field" in refused("quarantine", "list", "--reason", "bad luck")
    record = json.loads(CliRunner().invoke(tidemark, ["quarantine", "show", "1", "--json"]).stdout)
    assert base64.b64decode(record["payload"]) == b'{"a": [red], "b": "[/b]"'


def test_debug_shows_the_traceback(warehouse):
    result = CliRunner().invoke(tidemark, ["--debug", "ingest", "nothing-such"])
    assert type(result.exception).__name__ == "TidemarkError"


def test_every_verb_has_help_and_says_what_it_is_for():
    runner = CliRunner()
    pending = [([name], command) for name, command in tidemark.commands.items()]
    while pending:
        path, command = pending.pop()
        result = runner.invoke(tidemark, [*path, "--help"])
        assert result.exit_code == 0
        assert command.help, path
        pending += [([*path, name], sub) for name, sub in getattr(command, "commands", {}).items()]


def test_what_is_in_quarantine_is_replayed_or_dropped_when_meant(warehouse, config):
    sources = config / "sources.yml"
    sources.write_text("sources: {native: {contract: strict}}")
    path = config / "a.jsonl"
    told = {"occurred_at": "2026-03-01T10:00:00Z", "user_id": "u", "event_type": "lesson_eaten"}
    path.write_text(json.dumps(told) + "\noops\noops\n")
    CliRunner().invoke(tidemark, ["ingest", "native", str(path)])
    sources.write_text("sources: {native: {contract: open}}")
    first = CliRunner().invoke(tidemark, ["quarantine", "replay", "--json"])
    (done,) = json.loads(first.stdout)["replays"]
    assert (done["loaded"], done["refused"], first.exit_code) == (1, 2, 0)
    again = CliRunner().invoke(tidemark, ["quarantine", "replay"]).stdout
    assert "no load; 0 loaded, 0 duplicate, 2 refused again" in again
    assert "add --yes" in refused("quarantine", "drop", "--reason", "invalid_json")
    assert "1 dropped" in CliRunner().invoke(tidemark, ["quarantine", "drop", "2"]).stdout
    assert "1 dropped" in CliRunner().invoke(tidemark, ["quarantine", "drop", "--yes"]).stdout
    fates = CliRunner().invoke(tidemark, ["quarantine", "list"]).stdout
    assert (fates.count("  replayed 2"), fates.count("  dropped 2")) == (1, 2)


@pytest.mark.parametrize("arguments", [["status"], ["alerts", "list"], ["quarantine", "list"], ["doctor"]])
def test_json_is_one_document_and_nothing_else(warehouse, arguments):
    result = CliRunner().invoke(tidemark, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    json.loads(result.stdout)


def test_status_of_an_empty_warehouse_reads_well(warehouse):
    result = CliRunner().invoke(tidemark, ["status"])
    assert result.exit_code == 0
    assert "0 received = 0 loaded + 0 duplicate + 0 quarantined + 0 suppressed" in " ".join(result.stdout.split())
