"""A report reaches each of its readers once, whole, under their own rights; what cannot be stood for is held back."""

import json
import shutil
from email import message_from_bytes
from email.policy import default
from hashlib import sha256

import pytest

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.outbox.delivery import deliver
from orchestration.reports import delivery
from orchestration.reports.delivery import again, rebuild, send
from tests.outbox.conftest import Server, listening


def queued(connection, topic: str = "report %") -> list:
    query = "select recipient, topic, mime, manifest from ops.outbox where topic like %s order by created_at, recipient"
    return connection.execute(query, [topic]).fetchall()


@pytest.fixture
def config(home, tmp_path, monkeypatch):
    """Writes config/reports.yml beside the shipped files: `config(text)`."""
    folder = shutil.copytree(settings.ROOT / "config", tmp_path / "config")
    monkeypatch.setenv("TIDEMARK_CONFIG", str(folder))
    return lambda text: (folder / "reports.yml").write_text("allow: [example.com]\nreports:\n" + text)


def test_the_mail_is_text_or_html_with_its_pictures_and_what_its_reader_wants(published):
    sent = send("executive", period="2026-W10")
    assert sent.queued == ["executives@example.com"] and sent.held == []
    ((recipient, topic, mime, manifest),) = queued(published)
    assert (recipient, topic) == ("executives@example.com", "report executive")
    mail = message_from_bytes(mime, policy=default)
    assert mail["To"] == recipient and mail["From"] == settings.settings().mail_from
    assert mail["Subject"].startswith("Tidemark Demo: Revenue ") and mail["Auto-Submitted"] == "auto-generated"
    alternatives, pdf, workbook = mail.iter_parts()
    text, related = alternatives.iter_parts()
    html, *pictures = related.iter_parts()
    assert [part.get_content_type() for part in (mail, alternatives, text, related, html, pdf)] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "application/pdf",
    ]  # fmt: skip
    assert text.get_content().replace("\r\n", "\n").strip() == sent.paths["report.txt"].read_text().strip()
    assert pdf.get_content() == sent.paths["report.pdf"].read_bytes()
    assert workbook.get_content() == sent.paths["report.xlsx"].read_bytes()
    assert [pdf.get_filename(), workbook.get_filename()] == ["executive-2026-W10.pdf", "executive-2026-W10.xlsx"]
    for picture in pictures:
        assert picture.get_content_type() == "image/png" and picture.get_content_disposition() == "inline"
        assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in html.get_content()
    assert len(pictures) == html.get_content().count('src="') >= 8
    assert manifest == json.loads(sent.paths["manifest.json"].read_text())
    for file, entry in manifest["files"].items():
        assert sha256(sent.paths[file].read_bytes()).hexdigest() == entry["sha256"]
    audited = published.execute("select actor, subject, detail from ops.audit where action = 'report sent'").fetchall()
    assert [(actor, subject, detail["period"]) for actor, subject, detail in audited] == [
        ("executives@example.com", "executive", "2026-W10")
    ]
    assert send("executive", period="2026-W10").queued == []  # once for a period
    assert len(queued(published)) == 1


def test_it_comes_out_of_a_mail_server_as_it_went_in(published, monkeypatch):
    server = Server()
    with listening(server) as place:
        monkeypatch.setenv("TIDEMARK_SMTP_URL", f"smtp://{place}")
        send("seller", period="2026-W10")
        deliver()
    (envelope,) = server.received
    mail = message_from_bytes(envelope.content, policy=default)
    assert envelope.rcpt_tos == ["sellers@example.com"] == [mail["To"]]
    kept = settings.settings().directory("reports") / "seller" / "2026-W10"
    attached = {part.get_filename(): part.get_content() for part in mail.iter_attachments()}
    assert attached["seller-2026-W10.pdf"] == (kept / "report.pdf").read_bytes()
    csv = attached["seller-2026-W10-sellers.csv"]
    assert (csv if isinstance(csv, bytes) else csv.encode()).split() == (kept / "sellers.csv").read_bytes().split()


def test_recipients_outside_the_list_and_headers_with_line_breaks_are_refused(published, monkeypatch):
    for address in ("ann", "ann@example.com\nBcc: eve@example.com", "a@b.c, d@e.f"):
        with pytest.raises(TidemarkError, match="is not a mail address"):
            send("seller", to=[address])
    with pytest.raises(TidemarkError, match=r"eve@evil.example may not be sent reports: add it .* `allow`"):
        send("seller", to=["eve@evil.example"])
    made = delivery.make(
        "seller", delivery.definitions.definition("seller"), [settings.Recipient(address="a@b.c")], None
    )
    for name, value in (("subject", "a\nBcc: eve@evil.example"), ("subject", "a\rb")):
        spoofed = delivery.replace(made[0].rendered, **{name: value})
        with pytest.raises((TidemarkError, ValueError)):
            delivery.message(spoofed, settings.Recipient(address="a@example.com"))
    assert queued(published) == []


def test_a_report_whose_gate_fails_is_a_notice_and_its_owner_is_told(published, hold):
    hold("marts.shop_hourly", "3 rows have a negative price")
    sent = send("executive", period="2026-W10")
    assert sent.queued == ["executives@example.com"] and sent.told == ["data@example.com"]
    said = "Since Mon 9 March 2026, 06:10 CET, at load 13: marts.shop_hourly: 3 rows have a negative price."
    assert said in sent.held[0]
    (notice, owner) = [message_from_bytes(mime, policy=default) for _, _, mime, _ in queued(published)]
    assert "figures are held back" in notice["Subject"]
    body = notice.get_body(("plain",)).get_content()
    assert "3 rows have a negative price" in " ".join(body.split())
    assert "EUR " not in body and not list(notice.iter_attachments()), body
    assert owner["To"] == "data@example.com" and "executives@example.com" in owner.get_content()
    assert send("executive", period="2026-W10").queued == []  # the same hold is told once
    assert send("models", period="2026-W10").held == []  # which is not made of any mart
    published.execute("delete from ops.gate_results where run_id = 'run'")
    after = send("executive", period="2026-W10")
    assert after.queued == ["executives@example.com"] and after.held == []  # the report itself follows


def test_what_disagrees_or_has_no_data_is_held_back(published):
    published.execute("update views.metric_period set value = value + 1 where metric = 'revenue' and grain = 'week'")
    held = send("shop", period="2026-W10").held
    assert any("Revenue is EUR" in reason and "days add up to" in reason for reason in held)
    published.execute("create or replace view api.sellers as select * from views.sellers where false")
    (reason,) = send("seller", period="2026-W10").held
    assert "no rows" in reason or "no data" in reason


def test_a_figure_that_changed_is_told_to_whoever_was_sent_the_old_one(published):
    send("shop", period="2026-W09")
    old, day = published.execute(
        "select value, start_date from api.metric_period where (metric, segment, grain) = ('revenue', 'all', 'week')"
        " and start_date = '2026-02-23'"
    ).fetchone()
    published.execute(
        "update views.metric_period set value = value - 10 where metric = 'revenue' and start_date = %s", [day]
    )
    published.execute(
        "insert into marts.restatements (metric, segment, grain, day, old_value, new_value, cause, load_id)"
        " values ('revenue', 'all', 'week', %s, %s, %s, 'erasure', 77)",
        [day, old, old - 10],
    )
    told = send("shop", to=["shop@example.com", "new@example.com"], period="2026-W10")
    assert told.held == []
    by_reader = {reader: (mime, manifest) for reader, _, mime, manifest in queued(published)}
    text = message_from_bytes(by_reader["shop@example.com"][0], policy=default).get_body(("plain",)).get_content()
    line = next(line for line in text.splitlines() if line.startswith("Revenue") and "erasure" in line)
    assert f"{old:,.2f}" in line or f"{old:,.0f}" in line
    assert "77" in line
    assert "erasure" not in message_from_bytes(by_reader["new@example.com"][0], policy=default).as_string()
    assert send("shop", to=["shop@example.com"], period="2026-W10").queued == ["shop@example.com"]  # no news any more
    newest = published.execute(
        "select mime from ops.outbox where recipient = 'shop@example.com' order by created_at desc limit 1"
    ).fetchone()[0]
    assert "erasure" not in message_from_bytes(newest, policy=default).get_body(("plain",)).get_content()


def test_a_crash_before_the_commit_sends_nothing_and_afterwards_all_once(published, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(delivery, "_tell_owner", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            send("seller", period="2026-W10")
    assert queued(published) == []
    assert send("seller", period="2026-W10").queued == ["sellers@example.com"]


def test_a_kept_report_is_made_again_as_it_was_and_another_one_is_not(published):
    paths = send("seller", period="2026-W10").paths
    before = {file: path.read_bytes() for file, path in paths.items()}
    published.execute("delete from ml.models where false; update views.metric_period set value = 0")
    paths["report.pdf"].unlink()
    again("seller", "2026-W10")
    assert {file: path.read_bytes() for file, path in paths.items()} == before
    manifest = json.loads(before["manifest.json"])
    manifest["files"]["report.txt"]["sha256"] = "0"
    paths["manifest.json"].write_text(json.dumps(manifest))
    with pytest.raises(TidemarkError, match=r"report.txt cannot be made again as it was: it was made by python"):
        rebuild(paths["manifest.json"].parent)
    with pytest.raises(TidemarkError, match="No report seller of 2026-W09 is kept"):
        again("seller", "2026-W09")


def test_each_reader_sees_what_their_login_may(published, config):
    entry = "  seller:\n    template: seller\n    cron: '0 7 * * 1'\n    recipients:\n"
    config(
        entry + "    - {address: a@example.com}\n    - {address: b@example.com, login: seller_three, formats: [csv]}\n"
    )
    with pytest.raises(TidemarkError, match="'seller_three' reads nothing now"):
        send("seller", period="2026-W10")
    (settings.settings().config / "access.yml").write_text(
        "readers:\n  three: {login: seller_three, scope: {shops: [seller-0003]}}\n"
    )
    assert sorted(send("seller", period="2026-W10").queued) == ["a@example.com", "b@example.com"]
    texts = {
        reader: message_from_bytes(mime, policy=default).as_string()
        for reader, _, mime, _ in queued(published, "report seller")
    }
    assert "seller-0003" in texts["b@example.com"] and "seller-0001" not in texts["b@example.com"]
    assert "seller-0001" in texts["a@example.com"]
    kept = settings.settings().directory("reports") / "seller" / "2026-W10"
    assert "seller-0001" not in (kept / "seller_three" / "sellers.csv").read_text()


def test_nothing_published_is_not_sent(warehouse):
    with pytest.raises(TidemarkError, match="There is nothing to report"):
        send("executive")
    with pytest.raises(TidemarkError, match=r"'2026-W60' is no period"):
        send("executive", period="2026-W60")
