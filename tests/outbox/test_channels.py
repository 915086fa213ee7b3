"""Channels beside mail, against a real HTTP server: how each is worded, and what each way to fail leads to."""

import json
import socket
import ssl
import threading
import time
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_address

import pytest
from standardwebhooks import Webhook

from orchestration.errors import TidemarkError
from orchestration.outbox import channels, delivery, http
from orchestration.outbox.delivery import Delivered, deliver
from orchestration.warehouse import outbox

SECRETS = {"OLD_SECRET": "whsec_" + "b2xkIHNlY3JldA==", "NEW_SECRET": "whsec_bmV3IHNlY3JldA=="}
INCIDENT = {
    "incident_id": 7, "fingerprint": "revenue|revenue|all", "rule": "revenue", "metric": "revenue", "segment": "all",
    "severity": "critical", "status": "open", "owner": "shop", "started_at": "2026-03-02T10:00:00+00:00",
    "ended_at": None, "value": 1.0, "expected": 9.0, "lo": 8.0, "hi": 10.0, "headline": "revenue at <1> & <!channel>",
    "detail": "Revenue fell.", "causes": ["country=DE: 0, usually 5"], "runbook": "https://wiki.example.com/revenue",
    "answer_url": "https://alerts.example.com/incidents/x.y",
}  # fmt: skip
PAYLOAD = {
    "type": "incident.opened", "event": "opened", "severity": "critical",
    "message": "revenue at <1> & <!channel>", "text": "Revenue fell.",
    "open_in_thread": 1, "incidents_total": 1, "held_back": 0, "timestamp": "2026-03-02T11:00:00+00:00",
    "pipeline_url": "https://tidemark.example.com", "incidents": [INCIDENT],
}  # fmt: skip


@pytest.fixture
def configure(tmp_path, monkeypatch, receiver):
    """Write config/alerts.yml with these channels; {port} is the receiver's."""
    monkeypatch.setenv("TIDEMARK_CONFIG", str(tmp_path))
    for name, value in (
        SECRETS | {"PAGER_KEY": "R0UTING", "SLACK_URL": f"http://127.0.0.1:{receiver.port}/slack"}
    ).items():
        monkeypatch.setenv(name, value)

    def write(**given: dict) -> None:
        text = json.dumps({"channels": given, "rules": {}}).replace("PORT", str(receiver.port))
        (tmp_path / "alerts.yml").write_text(text)

    write(hook=HOOK)
    return write


HOOK = {
    "kind": "webhook", "url": "http://127.0.0.1:PORT/hook", "secrets": ["${NEW_SECRET}", "${OLD_SECRET}"],
    "allow_private": True,
}  # fmt: skip


def queue_one(queue, name: str = "hook", key: str = "k", after: str | None = None, quiet_hours=(), **changes) -> str:
    return outbox.enqueue_payload(
        queue.connection,
        name,
        lambda identity: PAYLOAD | {"thread": identity} | changes,
        topic="t",
        key=key,
        after=after,
        quiet_hours=quiet_hours,
    )


def test_a_webhook_is_signed_by_each_secret_and_verified_by_the_standard_library_of_receivers(
    queue, configure, receiver
):
    message_id = queue_one(queue)
    assert deliver() == Delivered(sent=1)
    [(path, headers, body)] = receiver.received
    assert path == "/hook"
    assert headers["webhook-id"] == message_id
    for secret in SECRETS.values():
        assert Webhook(secret).verify(body, headers)["data"]["incidents"][0]["incident_id"] == 7
    with pytest.raises(Exception, match="signature"):
        Webhook(SECRETS["NEW_SECRET"]).verify(body.replace(b"7", b"8"), headers)


@pytest.mark.parametrize(
    ("answer", "outcome", "status", "said"),
    [
        ((500, {}), {"retried": 1}, "pending", "500"),
        ((404, {}), {"retried": 1}, "pending", "404"),  # somebody may mend the address
        (
            (301, {"Location": "http://127.0.0.1:PORT/elsewhere"}),
            {"retried": 1},
            "pending",
            "redirects are not followed",
        ),
        ((400, {}), {"dead": 1}, "dead", "400"),
        ((410, {}), {"dead": 1}, "dead", "410"),
    ],
)
def test_what_an_answer_leads_to(queue, configure, receiver, answer, outcome, status, said):
    receiver.answers = [answer]
    queue_one(queue)
    done = deliver()
    assert (done.sent, done.retried, done.dead) == (0, outcome.get("retried", 0), outcome.get("dead", 0))
    [row] = queue.rows()
    assert row["status"] == status
    assert said in row["last_error"]
    assert [path for path, *_ in receiver.received] == ["/hook"]


def test_who_asks_to_wait_is_waited_for(queue, configure, receiver):
    receiver.answers = [(429, {"Retry-After": "7200"})]
    queue_one(queue)
    queue_one(queue, key="another")
    assert deliver().retried == 1  # the other one is not even tried
    waited = queue.connection.execute(
        "select max(next_attempt_at) - clock_timestamp() as wait from ops.outbox where attempts = 1"
    ).fetchone()["wait"]
    assert timedelta(minutes=119) < waited <= timedelta(hours=2)
    assert len(receiver.received) == 1


def test_who_is_gone_is_told_nothing_more_until_there_is_another_address(queue, configure, receiver):
    receiver.answers = [(410, {})]
    queue_one(queue)
    queue_one(queue, key="another")
    assert deliver().dead == 2
    queue_one(queue, key="later")
    assert deliver() == Delivered(dead=1)
    assert len(receiver.received) == 1
    configure(hook=HOOK | {"url": "http://127.0.0.1:PORT/new"})
    queue_one(queue, key="after that")
    assert deliver() == Delivered(sent=1)
    assert receiver.received[-1][0] == "/new"


def test_a_receiver_that_hangs_holds_up_neither_for_ever_nor_the_mail(queue, configure, receiver, smtp, monkeypatch):
    monkeypatch.setattr(http, "READ_SECONDS", 0.3)
    receiver.delay = 1
    message_id = queue_one(queue)
    queue.add()
    done = deliver()
    assert (done.sent, done.retried) == (1, 1)
    assert done.stopped == "127.0.0.1: timed out"
    receiver.delay = 0
    queue.make_due()
    assert deliver().sent == 1
    assert {headers["webhook-id"] for _, headers, _ in receiver.received} == {message_id}  # twice, and it can be told


def test_a_certificate_that_nobody_signed_is_not_trusted(queue, configure, receiver, tmp_path):
    from tests.outbox.conftest import _certificate

    certificate, key = _certificate()
    (tmp_path / "both.pem").write_bytes(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    configure(hook=HOOK | {"url": "https://127.0.0.1:PORT/hook"})
    queue_one(queue)
    assert "certificate verify failed" in deliver().stopped
    assert receiver.received == []
    assert queue.rows()[0]["status"] == "pending"


def test_a_private_address_is_refused_after_resolution(queue, configure, receiver, monkeypatch):
    monkeypatch.setattr(http.socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", 443))])
    configure(hook=HOOK | {"url": "https://hooks.example.com/", "allow_private": False})
    queue_one(queue)
    assert deliver().retried == 1
    assert "hooks.example.com is in a private network" in queue.rows()[0]["last_error"]
    assert receiver.received == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1::1", True), ("127.0.0.1", False), ("10.1.2.3", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("::1", False), ("fe80::1", False),
        ("fd00::1", False), ("::ffff:127.0.0.1", False), ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False),
        ("224.0.0.1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address, expected):
    assert http.is_public(ip_address(address)) is expected


def test_what_answers_a_message_waits_for_it_and_dies_with_it(queue, configure, receiver):
    receiver.answers = [(500, {}), (400, {})]
    first = queue_one(queue)
    queue_one(queue, key="answer", after=first, event="resolved")
    assert deliver() == Delivered(retried=1)
    queue.make_due()
    assert deliver() == Delivered(dead=1)
    assert deliver() == Delivered(dead=1)
    assert len(receiver.received) == 2
    assert "never delivered" in queue.rows()[1]["last_error"]


def test_a_channel_that_is_no_longer_configured_gets_nothing(queue, configure, receiver):
    queue_one(queue)
    configure()
    assert deliver() == Delivered(dead=1)
    assert "no channel hook" in queue.rows()[0]["last_error"]


def test_slack_gets_no_mention_from_the_data(queue, configure, receiver):
    configure(chat={"kind": "slack", "url": "${SLACK_URL}", "allow_private": True})
    queue_one(queue, "chat")
    assert deliver() == Delivered(sent=1)
    [(path, _, body)] = receiver.received
    assert path == "/slack"
    text = json.loads(body)["blocks"][0]["text"]["text"]
    assert "<!channel>" not in body.decode()
    assert "*[critical] revenue at &lt;1&gt; &amp; &lt;!channel&gt;*" in text
    assert "<https://alerts.example.com/incidents/x.y|Answer>" in text


def test_a_long_text_for_slack_ends_with_a_whole_line(queue, configure, receiver):
    configure(chat={"kind": "slack", "url": "${SLACK_URL}", "allow_private": True})
    queue_one(queue, "chat", incidents=[INCIDENT | {"headline": "<" * 50}] * 20)
    assert deliver() == Delivered(sent=1)
    text = json.loads(receiver.received[0][2])["blocks"][0]["text"]["text"]
    assert len(text) <= 3000
    assert text.endswith("    country=DE: 0, usually 5")


def test_whether_a_channel_leads_anywhere_is_said_without_sending(queue, configure, receiver, monkeypatch):
    monkeypatch.setenv("BAD_SECRET", "whsec_R0UTI")  # five characters are no base64
    assert delivery.reach("hook") == "its secrets are set, 127.0.0.1 is found"
    for changes, said in (
        ({"allow_private": False, "url": "https://127.0.0.1/"}, "private network"),
        ({"url": "http://127.0.0.1:99999/"}, "not a URL"),
        ({"secrets": ["${NO_SECRET}"]}, r"alerts\.yml:1 needs NO_SECRET"),
        ({"secrets": ["${BAD_SECRET}"]}, "cannot sign"),
    ):
        configure(hook=HOOK | changes)
        with pytest.raises(TidemarkError, match=said):
            delivery.reach("hook")
    assert receiver.received == []
    configure(hook=HOOK)
    receiver.answers = [(410, {})]
    queue_one(queue)
    deliver()
    with pytest.raises(TidemarkError, match="is stopped"):
        delivery.reach("hook")


def test_pagerduty_triggers_and_resolves_by_the_thread(queue, configure, receiver):
    pager = {"kind": "pagerduty", "routing_key": "${PAGER_KEY}", "url": "http://127.0.0.1:PORT/v2/enqueue"}
    configure(pager=pager | {"allow_private": True})
    first = queue_one(queue, "pager")
    assert deliver() == Delivered(sent=1)
    queue_one(queue, "pager", key="over", after=first, event="resolved", thread=first, open_in_thread=0)
    assert deliver() == Delivered(sent=1)
    trigger, resolve = (json.loads(body) for _, _, body in receiver.received)
    assert (trigger["routing_key"], trigger["event_action"], trigger["dedup_key"]) == ("R0UTING", "trigger", first)
    assert trigger["payload"]["severity"] == "critical"
    assert resolve == {"routing_key": "R0UTING", "dedup_key": first, "event_action": "resolve"}


def test_alertmanagers_payload_is_version_4(queue, configure, receiver):
    configure(am={"kind": "alertmanager", "url": "http://127.0.0.1:PORT/am", "allow_private": True})
    queue_one(queue, "am", incidents_total=3)
    assert deliver() == Delivered(sent=1)
    body = json.loads(receiver.received[0][2])
    assert (body["version"], body["status"], body["receiver"], body["truncatedAlerts"]) == ("4", "firing", "am", 2)
    [alert] = body["alerts"]
    assert alert["labels"]["alertname"] == "revenue"
    assert alert["annotations"]["runbook_url"] == "https://wiki.example.com/revenue"
    assert (alert["status"], alert["endsAt"]) == ("firing", "0001-01-01T00:00:00Z")


def test_anything_else_goes_through_apprise(queue, configure, receiver, monkeypatch):
    monkeypatch.setenv("TEXT_URL", f"json://127.0.0.1:{receiver.port}/text")
    configure(sms={"kind": "apprise", "url": "${TEXT_URL}"})
    queue_one(queue, "sms")
    assert deliver() == Delivered(sent=1)
    assert json.loads(receiver.received[0][2])["message"] == "Revenue fell."
    receiver.answers = [(500, {})]
    queue_one(queue, "sms", key="another")
    assert deliver() == Delivered(retried=1)


def test_a_channel_without_its_secret_is_said_with_file_and_line(queue, configure, monkeypatch):
    monkeypatch.delenv("NEW_SECRET")
    queue_one(queue)
    with pytest.raises(Exception, match=r"alerts\.yml:1 needs NEW_SECRET"):
        deliver()
    assert queue.rows()[0]["attempts"] == 0


def test_a_channel_is_another_one_when_anything_of_it_changed(home):
    from pydantic import TypeAdapter

    from orchestration.settings import Channel

    read = TypeAdapter(Channel).validate_python
    assert channels.address_hash(read(HOOK)) != channels.address_hash(read(HOOK | {"url": "https://example.com/"}))
    assert delivery.MAIL == "mail"


def test_who_sends_a_byte_now_and_then_is_not_waited_for_either(queue, configure, receiver, monkeypatch):
    monkeypatch.setattr(http, "WHOLE_SECONDS", 0.5)
    ends = threading.Event()

    def drip(listener: socket.socket) -> None:
        taken, _ = listener.accept()
        with taken, suppress(OSError):
            while not ends.wait(0.05):
                taken.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=[listener], daemon=True).start()
        configure(hook=HOOK | {"url": f"http://127.0.0.1:{listener.getsockname()[1]}/"})
        queue_one(queue)
        began = time.monotonic()
        assert deliver().retried == 1
        assert time.monotonic() - began < 5
        ends.set()


def test_a_channel_that_is_slow_delays_no_other(queue, configure, smtp, monkeypatch):
    """It answers once the mail is there: had the mail waited for it, it would never have."""
    monkeypatch.setattr(http, "READ_SECONDS", 60)  # the machine may be slow
    monkeypatch.setattr(http, "WHOLE_SECONDS", 60)

    def answer(listener: socket.socket) -> None:
        taken, _ = listener.accept()
        with taken:
            taken.recv(65536)
            while not smtp.received:
                time.sleep(0.01)
            taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, args=[listener], daemon=True).start()
        configure(hook=HOOK | {"url": f"http://127.0.0.1:{listener.getsockname()[1]}/"})
        queue_one(queue)
        queue.add()
        assert deliver() == Delivered(sent=2)


def test_a_message_that_was_put_off_waits_for_the_end_of_the_quiet_hours(queue, configure, receiver):
    hour = queue.connection.execute("select extract(hour from now() at time zone 'Asia/Tokyo')::int as hour").fetchone()
    hour = hour["hour"]
    now = {"from": f"{hour:02}:00", "to": f"{(hour + 2) % 24:02}:00", "timezone": "Asia/Tokyo"}
    later = {"from": f"{(hour + 2) % 24:02}:00", "to": f"{(hour + 23) % 24:02}:00", "timezone": "Asia/Tokyo"}
    queue_one(queue, key="quiet", quiet_hours=[later, now])
    assert deliver() == Delivered()
    queue_one(queue, key="loud", quiet_hours=[later])
    assert deliver() == Delivered(sent=1)


@pytest.mark.parametrize(
    ("clock", "begin", "end", "expected"),
    [("22:00", "22:00", "06:00", True), ("05:59", "22:00", "06:00", True), ("06:00", "22:00", "06:00", False),
     ("12:00", "09:00", "17:00", True), ("17:00", "09:00", "17:00", False), ("12:00", "12:00", "12:00", False)],
)  # fmt: skip
def test_quiet_hours_by_the_clock_of_their_zone(queue, clock, begin, end, expected):
    quiet = json.dumps([{"from": begin, "to": end, "timezone": "Asia/Tokyo"}])
    found = queue.connection.execute("select ops.is_quiet(%s, %s) as yes", [quiet, f"2026-03-02 {clock}+09"]).fetchone()
    assert found["yes"] is expected
