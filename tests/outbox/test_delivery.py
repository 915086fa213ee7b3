"""Delivery to a real SMTP server and to files, with every way in which it can fail."""

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.errors import TidemarkError
from orchestration.outbox import delivery, transports
from orchestration.outbox.delivery import ATTEMPTS, FIRST_DELAY, LONGEST_DELAY, Delivered, delay, deliver
from orchestration.outbox.transports import Address


def test_a_message_arrives_as_it_was_queued(queue, smtp):
    queue.add("Grüße aus der Ebbe", to="a@example.com")
    assert deliver() == Delivered(sent=1)
    [envelope] = smtp.received
    assert (envelope.mail_from, envelope.rcpt_tos) == ("tidemark@example.com", ["a@example.com"])
    message = message_from_bytes(envelope.content, policy=policy.default)
    assert message["Subject"] == "Grüße aus der Ebbe"
    assert message.get_content() == "Grüße, a line\n.a line that begins with a dot\n"
    [row] = queue.rows()
    assert (row["status"], row["attempts"], row["last_error"]) == ("sent", 1, None)
    assert row["fate"] == "127.0.0.1: 250 taken as number 1"
    assert row["sent_at"] >= row["created_at"]
    assert deliver() == Delivered()


@pytest.mark.parametrize("stage", ["RCPT", "DATA"])
def test_what_is_refused_for_now_is_tried_again_and_arrives_once(queue, smtp, stage):
    smtp.answers[stage, "a@example.com"] = ["451 try later", "452 full"]
    queue.add()
    for attempt, word in [(1, "451 try later"), (2, "452 full")]:
        assert deliver() == Delivered(retried=1)
        [row] = queue.rows()
        assert (row["status"], row["attempts"]) == ("pending", attempt)
        assert word in row["last_error"]
        assert deliver() == Delivered()  # it is not due yet
        queue.make_due()
    assert deliver() == Delivered(sent=1)
    assert len(smtp.received) == 1


def test_what_is_refused_for_good_is_not_tried_again_and_the_others_arrive(queue, smtp):
    smtp.answers["RCPT", "b@example.com"] = ["550 no such user"]
    queue.add(to="a@example.com, b@example.com, c@example.com")
    assert deliver() == Delivered(sent=2, dead=1)
    status = {row["recipient"]: (row["status"], row["last_error"], row["fate"] is None) for row in queue.rows()}
    assert status["b@example.com"] == ("dead", "127.0.0.1: 550 no such user", True)
    assert status["a@example.com"][0] == status["c@example.com"][0] == "sent"
    queue.make_due()
    assert deliver() == Delivered()


def test_a_server_that_is_closing_is_left_alone(queue, smtp):
    smtp.answers["RCPT", "a@example.com"] = ["421 closing"]
    queue.add("one", to="a@example.com")
    queue.add("two", to="b@example.com")
    assert deliver() == Delivered(retried=1, stopped="127.0.0.1: 421 closing")
    assert [row["attempts"] for row in queue.rows()] == [1, 0]
    assert deliver() == Delivered(sent=1)
    queue.make_due()
    assert deliver() == Delivered(sent=1)


def test_a_server_that_is_away_costs_one_attempt_and_no_message(queue, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, and nobody listens
        monkeypatch.setenv("TIDEMARK_SMTP_URL", f"smtp://127.0.0.1:{unused.getsockname()[1]}")
        queue.add("one")
        queue.add("two")
        done = deliver()
    assert (done.sent, done.retried, done.dead) == (0, 1, 0)
    assert "refused" in done.stopped
    assert [(row["status"], row["attempts"]) for row in queue.rows()] == [("pending", 1), ("pending", 0)]


def test_a_server_that_hangs_is_not_waited_for_for_ever(queue, monkeypatch):
    monkeypatch.setattr(transports, "TIMEOUT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and says nothing
        monkeypatch.setenv("TIDEMARK_SMTP_URL", f"smtp://127.0.0.1:{silent.getsockname()[1]}")
        queue.add()
        assert deliver().stopped.endswith("timed out")
    assert queue.rows()[0]["status"] == "pending"


def test_a_server_that_hangs_after_the_data_gets_the_same_message_again(queue, smtp, monkeypatch):
    monkeypatch.setattr(transports, "TIMEOUT_SECONDS", 0.3)
    smtp.hangs = 1.0
    queue.add("one")
    queue.add("two")
    done = deliver()
    assert (done.sent, done.retried) == (0, 1)  # the other one is not even tried
    assert "timed out" in done.stopped or "closed" in done.stopped
    smtp.hangs = 0.0
    monkeypatch.setattr(transports, "TIMEOUT_SECONDS", 30)
    queue.make_due()
    assert deliver() == Delivered(sent=2)
    ids = [message_from_bytes(envelope.content)["Message-ID"] for envelope in smtp.received]
    assert len(set(ids)) == 2  # if it had taken the first one after all, it can tell


def test_an_hour_without_a_server_loses_nothing_and_repeats_nothing(queue, smtp, monkeypatch):
    url = os.environ["TIDEMARK_SMTP_URL"]
    for number in range(3):
        queue.add(f"number {number}")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("TIDEMARK_SMTP_URL", f"smtp://127.0.0.1:{unused.getsockname()[1]}")
        for _ in range(12):  # every five minutes
            assert deliver().sent == 0
            queue.connection.execute("update ops.outbox set next_attempt_at = next_attempt_at - interval '5 minutes'")
    monkeypatch.setenv("TIDEMARK_SMTP_URL", url)
    queue.make_due()
    assert deliver() == Delivered(sent=3)
    assert len(smtp.received) == 3
    assert all(row["attempts"] < ATTEMPTS // 2 for row in queue.rows())


def test_a_message_is_given_up_after_its_last_attempt(queue, smtp):
    smtp.answers["RCPT", "a@example.com"] = ["451 never"] * ATTEMPTS
    queue.add()
    queue.connection.execute("update ops.outbox set attempts = %s", [ATTEMPTS - 2])
    assert deliver() == Delivered(retried=1)
    queue.make_due()
    assert deliver() == Delivered(dead=1)
    [row] = queue.rows()
    assert (row["status"], row["attempts"], row["last_error"]) == ("dead", ATTEMPTS, "127.0.0.1: 451 never")


def test_no_encryption_means_no_mail_when_it_was_asked_for(queue, smtp, monkeypatch):
    monkeypatch.setenv("TIDEMARK_SMTP_URL", f"{os.environ['TIDEMARK_SMTP_URL']}?starttls=1")
    queue.add()
    assert "STARTTLS" in deliver().stopped
    assert smtp.received == []


def test_a_wrong_password_kills_no_message(queue, smtp, monkeypatch):
    url = os.environ["TIDEMARK_SMTP_URL"].replace("smtp://", "smtp://user:wrong@")
    monkeypatch.setenv("TIDEMARK_SMTP_URL", url)
    queue.add()
    done = deliver()
    assert done.retried == 1
    assert "wrong" not in done.stopped


def test_deliveries_side_by_side_send_each_message_once(queue, smtp):
    for number in range(40):
        queue.add(f"number {number}")
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: deliver(), range(4)))
    assert sum(one.sent for one in done) == len(smtp.received) == 40
    assert len({message_from_bytes(envelope.content)["Message-ID"] for envelope in smtp.received}) == 40


def test_a_delivery_that_dies_after_sending_sends_again_with_the_same_id(queue, smtp, monkeypatch):
    queue.add()
    with monkeypatch.context() as patch:
        patch.setattr(delivery, "_write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            deliver()
    assert deliver() == Delivered(sent=1)
    first, second = (message_from_bytes(envelope.content)["Message-ID"] for envelope in smtp.received)
    assert first == second


def test_a_run_sends_no_more_than_it_is_told_the_longest_due_first(queue, smtp):
    for number in range(3):
        queue.add(f"number {number}")
    assert deliver(limit=2) == Delivered(sent=2)
    assert [row["status"] for row in queue.rows()] == ["sent", "sent", "pending"]


def test_without_a_server_mail_is_written_to_files(queue, home):
    queue.add("Revenue: 75 % below, ../../etc/passwd?", to="a@example.com, b@example.com")
    assert deliver() == Delivered(sent=2)
    files = sorted((home / "outbox").iterdir())
    rows = {row["fate"]: row for row in queue.rows()}
    assert {str(file) for file in files} == set(rows)
    for file in files:
        row = rows[str(file)]
        stamp = row["created_at"].strftime("%Y%m%dT%H%M%SZ")
        assert file.name == f"{stamp}-revenue-75-below-etc-passwd-{row['message_id'][:12]}.eml"
        message = message_from_bytes(file.read_bytes(), policy=policy.default)
        assert message["To"] == row["recipient"]
        assert message.get_content().startswith("Grüße")


def test_a_folder_that_cannot_be_written_loses_nothing(queue, home, monkeypatch):
    queue.add()
    (home / "outbox").mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(transports.Path, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
        assert "No space left" in deliver().stopped
    assert list((home / "outbox").iterdir()) == []
    queue.make_due()
    assert deliver() == Delivered(sent=1)


def test_encrypted_from_the_first_byte(queue, smtps, monkeypatch):
    server, certificate = smtps
    queue.add()
    assert "certificate verify failed" in deliver().stopped
    queue.make_due()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert deliver() == Delivered(sent=1)
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example.com", Address("mail.example.com", 25, "none", None, "")),
        ("smtp://mail.example.com?starttls=1", Address("mail.example.com", 587, "starttls", None, "")),
        ("smtp://u%40x:p%3Aw@mail:2525?starttls=1", Address("mail", 2525, "starttls", "u@x", "p:w")),
        ("smtps://u:p@mail/", Address("mail", 465, "tls", "u", "p")),
    ],
)
def test_urls(url, expected):
    assert Address.parse(url) == expected


@pytest.mark.parametrize(
    "url",
    ["mail.example.com", "http://u:secret@mail", "smtp://", "smtp://u:secret@mail:port", "smtp://u:secret@mail:99999",
     "smtp://mail?tls=1", "smtp://mail?starttls=yes", "smtp://mail?starttls", "smtp://mail/folder", "smtp://[::1"],
)  # fmt: skip
def test_a_wrong_url_is_one_sentence_without_the_password(queue, monkeypatch, url):
    monkeypatch.setenv("TIDEMARK_SMTP_URL", url)
    queue.add()
    with pytest.raises(TidemarkError, match=r"^TIDEMARK_SMTP_URL is not the URL of a mail server \(") as caught:
        deliver()
    assert "secret" not in str(caught.value)
    assert queue.rows()[0]["attempts"] == 0


@given(st.integers(1, ATTEMPTS))
def test_delays_double_up_to_a_limit_and_are_scattered(attempts):
    exact = min(FIRST_DELAY * 2 ** (attempts - 1), LONGEST_DELAY)
    assert 0.75 * exact <= delay(attempts) <= 1.25 * exact


def test_an_outage_of_a_day_kills_no_message():
    assert sum((min(FIRST_DELAY * 2**n, LONGEST_DELAY) * 0.75 for n in range(ATTEMPTS - 1)), timedelta()) > timedelta(
        days=1
    )
