"""A report reaches each of its readers once, whole, and lies in its folder as its manifest says."""

import json
from email import message_from_bytes
from email.policy import default
from hashlib import sha256

import pytest

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.reports import definitions
from orchestration.reports.delivery import enqueue, send, store
from orchestration.reports.render import render


def queued(connection) -> list:
    connection.rollback()
    return connection.execute("select recipient, topic, mime, manifest from ops.outbox order by created_at").fetchall()


def test_the_mail_is_text_or_html_with_its_pictures_and_the_pdf(published):
    sent = send("executive")
    assert sent.queued == ["executives@example.com"]
    ((recipient, topic, mime, manifest),) = queued(published)
    assert (recipient, topic) == ("executives@example.com", "report executive")
    mail = message_from_bytes(mime, policy=default)
    assert mail["To"] == recipient and mail["From"] == settings.settings().mail_from
    assert mail["Subject"].startswith("Tidemark Demo: Revenue ") and mail["Auto-Submitted"] == "auto-generated"
    alternatives, pdf = mail.iter_parts()
    text, related = alternatives.iter_parts()
    html, *pictures = related.iter_parts()
    assert [part.get_content_type() for part in (mail, alternatives, text, related, html, pdf)] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "application/pdf",
    ]  # fmt: skip
    assert text.get_content().replace("\r\n", "\n").strip() == sent.paths["report.txt"].read_text().strip()
    assert pdf.get_content() == sent.paths["report.pdf"].read_bytes()
    assert pdf.get_filename() == "executive-2026-W10.pdf"
    assert len(pictures) == 9
    for picture in pictures:
        assert picture.get_content_type() == "image/png" and picture.get_content_disposition() == "inline"
        assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in html.get_content()
    assert html.get_content().count('src="') == 9
    assert manifest == json.loads(sent.paths["manifest.json"].read_text())


def test_the_files_are_those_of_the_manifest(published):
    paths = send("executive").paths
    folder = settings.settings().directory("reports") / "executive" / "2026-W10"
    assert {path.parent for path in paths.values()} == {folder}
    assert sorted(path.name for path in folder.iterdir()) == [
        "manifest.json",
        "report.html",
        "report.pdf",
        "report.txt",
    ]
    for file, entry in json.loads(paths["manifest.json"].read_text())["files"].items():
        assert sha256(paths[file].read_bytes()).hexdigest() == entry["sha256"]


def test_a_report_is_sent_once_for_a_period(published):
    assert send("executive").queued == ["executives@example.com"]
    assert send("executive").queued == []
    assert len(queued(published)) == 1


def test_a_hold_is_told_once_more(published, hold):
    readers = definitions.definition("executive").recipients
    assert enqueue(published, render("executive", published), readers) == readers
    hold()
    held = render("executive", published)
    assert enqueue(published, held, readers) == readers and "marts.shop_hourly" in held.held[0]
    assert enqueue(published, held, readers) == []


def test_by_hand_it_goes_to_others_and_again_only_with_other_figures(published):
    rendered, by_hand = render("executive", published), ["executives@example.com", "ann@example.com"]
    assert enqueue(published, rendered, by_hand[:1]) == by_hand[:1]
    assert enqueue(published, rendered, by_hand, by_hand=True) == by_hand
    assert enqueue(published, rendered, by_hand, by_hand=True) == []
    published.execute("update api.metric_daily set value = value + 900 where metric = 'units' and day = '2026-03-08'")
    assert enqueue(published, render("executive", published), by_hand, by_hand=True) == by_hand
    assert enqueue(published, rendered, ["bob@example.com"], by_hand=True) == ["bob@example.com"]


def test_an_address_that_is_none_is_refused_before_anything_is_made(published):
    for address in ("ann", "ann@example.com\nBcc: eve@example.com", "a@b.c, d@e.f"):
        with pytest.raises(TidemarkError, match="is not a mail address"):
            send("executive", to=[address])
    assert queued(published) == []
    assert not (settings.settings().home / "reports" / "executive").exists()


def test_a_write_that_fails_leaves_what_was_there(published, monkeypatch):
    rendered = render("executive", published)
    paths = store(rendered)
    before = {file: path.read_bytes() for file, path in paths.items()}
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        store(rendered)
    assert {file: path.read_bytes() for file, path in paths.items()} == before


def test_nothing_published_is_not_sent(warehouse):
    with pytest.raises(TidemarkError, match="There is nothing to report"):
        send("executive")
