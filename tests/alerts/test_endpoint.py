"""The page behind the links: what a link allows, until when, and that looking changes nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

from orchestration.alerts import endpoint, incidents, links
from orchestration.errors import TidemarkError

NOW = datetime.now(UTC)


@pytest.fixture
def page(published):
    """A client, and the address of an open incident."""
    connection = published.connection
    opened = incidents.begin(
        connection,
        NOW,
        timedelta(0),
        {
            "rule": "errors", "fingerprint": "errors|error_rate|all", "metric": "error_rate", "segment": "all",
            "severity": "warning", "opened_hour": NOW, "detail": "<b>Many</b> requests fail.",
        },
    )  # fmt: skip
    connection.commit()
    path = links.link(opened, "ann@example.com", NOW).partition("3001")[2]
    return TestClient(endpoint.application(), follow_redirects=True), path, published


def state(published) -> dict:
    published.connection.rollback()
    return incidents.incident(published.connection, 1)


def test_looking_changes_nothing_and_shows_nothing_unescaped(page):
    client, path, published = page
    before = state(published)
    answer = client.get(path)
    client.head(path)
    assert answer.status_code == 200
    assert "<b>Many" not in answer.text
    assert "&lt;b&gt;Many" in answer.text
    assert "form-action 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert state(published) == before


def test_each_answer_is_done_as_the_one_who_was_told(page):
    client, path, published = page
    assert "acknowledged" in client.post(path, data={"action": "acknowledge"}).text
    client.post(path, data={"action": "comment", "text": "It is <the> cache."})
    client.post(path, data={"action": "snooze", "hours": "4"})
    found = state(published)
    assert found["status"] == "acknowledged"
    assert timedelta(hours=3.9) < found["snoozed_until"] - datetime.now(UTC) < timedelta(hours=4.1)
    client.post(path, data={"action": "silence", "hours": "24"})
    assert "resolved" in client.post(path, data={"action": "resolve"}).text
    found = state(published)
    assert [(row["actor"], row["action"]) for row in found["history"][1:]] == [
        ("ann@example.com", action) for action in ("acknowledged", "commented", "snoozed", "silenced", "resolved")
    ]
    assert found["status"] == "resolved"
    assert client.post(path, data={"action": "acknowledge"}).status_code == 403


@pytest.mark.parametrize("spoil", [lambda token: token[:-2] + "AA", lambda token: "W10" + token[3:], lambda _: "x.é"])
def test_a_link_that_was_tampered_with_opens_nothing(page, spoil):
    client, path, published = page
    head, token = path.rsplit("/", 1)
    before = state(published)
    for answer in (
        client.get(f"{head}/{spoil(token)}"),
        client.post(f"{head}/{spoil(token)}", data={"action": "resolve"}),
    ):
        assert answer.status_code == 403
        assert "requests fail" not in answer.text
    assert state(published) == before


def test_a_link_expires(home):
    token = links.seal(links.Grant(1, "a@example.com", NOW + timedelta(seconds=1)))
    assert links.unseal(token, NOW).incident_id == 1
    with pytest.raises(TidemarkError, match="expired"):
        links.unseal(token, NOW + timedelta(seconds=2))


def test_a_long_answer_and_an_unknown_one_change_nothing(page):
    client, path, published = page
    before = state(published)
    assert client.post(path, content=b"text=" + b"x" * 20_000).status_code == 403
    assert client.post(path, data={"action": "erase"}).status_code == 403
    assert state(published) == before
