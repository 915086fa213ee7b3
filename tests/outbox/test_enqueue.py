"""Putting messages into the outbox: once per key and recipient, and nothing that breaks a header."""

from email import message_from_bytes, policy
from email.message import EmailMessage, Message

import pytest

from orchestration.errors import TidemarkError
from orchestration.warehouse import outbox


def letter(to: str = "a@example.com", subject: str = "Hello") -> EmailMessage:
    message = EmailMessage()
    message["To"], message["Subject"] = to, subject
    message.set_content("Grüße – 90 €\n")
    return message


def parsed(row: dict) -> EmailMessage:
    return message_from_bytes(row["mime"], policy=policy.default)


def test_each_recipient_has_a_message_of_their_own(queue):
    message = letter(to="Ann <a@example.com>, b@example.com")
    assert outbox.enqueue(queue.connection, message, topic="report executive", key="k", manifest={"load_id": 7})
    first, second = queue.rows()
    assert (first["recipient"], second["recipient"]) == ("a@example.com", "b@example.com")
    assert parsed(first)["To"] == "a@example.com"
    assert parsed(second)["To"] == "b@example.com"
    assert first["message_id"] != second["message_id"]
    assert parsed(first)["Message-ID"] == f"<{first['message_id']}@tidemark>"
    assert (first["topic"], first["manifest"], first["status"]) == ("report executive", {"load_id": 7}, "pending")
    assert message["To"] == "Ann <a@example.com>, b@example.com"  # the caller's message stays as it was
    assert message["Message-ID"] is None


def test_a_key_is_queued_once_for_ever_for_each_recipient(queue):
    assert outbox.enqueue(queue.connection, letter(), topic="t", key="k") is True
    assert outbox.enqueue(queue.connection, letter(subject="Again"), topic="t", key="k") is False
    assert outbox.enqueue(queue.connection, letter(to="a@example.com, b@example.com"), topic="t", key="k") is True
    assert outbox.enqueue(queue.connection, letter(), topic="t", key="other") is True
    assert [(row["recipient"], row["subject"]) for row in queue.rows()] == [
        ("a@example.com", "Hello"),
        ("b@example.com", "Hello"),
        ("a@example.com", "Hello"),
    ]


def test_the_id_of_a_message_is_stable(queue):
    outbox.enqueue(queue.connection, letter(), topic="t", key="incident 17 opened")
    # The first 32 digits of SHA-256 over the key, the unit separator and the recipient.
    assert queue.rows()[0]["message_id"] == outbox.message_id("incident 17 opened", "a@example.com")
    assert outbox.message_id("incident 17 opened", "a@example.com") == "b25ad55f57747ed725c37afb13214443"


def test_a_reply_is_in_the_thread_of_each_recipient(queue):
    to = "a@example.com, b@example.com"
    outbox.enqueue(queue.connection, letter(to), topic="t", key="opened")
    for recipient in to.split(", "):
        opening = outbox.message_id("opened", recipient)
        outbox.enqueue(queue.connection, letter(recipient), topic="t", key="resolved", reply_to=opening)
    messages = [parsed(row) for row in queue.rows()]
    openings = {message["To"]: message["Message-ID"] for message in messages if "In-Reply-To" not in message}
    replies = [message for message in messages if "In-Reply-To" in message]
    assert len(replies) == 2
    for reply in replies:
        assert reply["In-Reply-To"] == reply["References"] == openings[reply["To"]]


def test_sender_and_date_are_filled_in_and_the_body_passes_any_server(queue, monkeypatch):
    monkeypatch.setenv("TIDEMARK_MAIL_FROM", "Reports <reports@example.com>")
    outbox.enqueue(queue.connection, letter(), topic="t", key="k")
    [row] = queue.rows()
    assert parsed(row)["From"] == "Reports <reports@example.com>"
    assert parsed(row)["Date"].datetime.tzinfo is not None
    assert row["mime"].isascii()
    assert b"\n" not in row["mime"].replace(b"\r\n", b"")
    assert parsed(row).get_content() == "Grüße – 90 €\n"


@pytest.mark.parametrize("header", ["Subject", "To", "From", "X-Anything"])
def test_a_header_that_spans_lines_is_refused(queue, header):
    message = Message()  # the old class lets line breaks in
    for name in {"To", "From", "Subject", header}:
        message[name] = "a@example.com"
    del message[header]
    message[header] = "a@example.com\r\nBcc: evil@example.com"
    with pytest.raises(TidemarkError, match=f"header {header} .* spans lines"):
        outbox.enqueue(queue.connection, message, topic="t", key="k")
    assert queue.rows() == []


@pytest.mark.parametrize("address", ["", "nobody", "@example.com", "jörg@example.com"])
def test_an_address_that_is_none_is_refused(queue, address):
    with pytest.raises(TidemarkError, match="is not a mail address"):
        outbox.enqueue(queue.connection, letter(to=address), topic="t", key="k")
    assert queue.rows() == []
