"""A SIGKILL between any two steps: nothing is missing, and no receiver gets more than one repeat for it."""

import json
import multiprocessing
import os
import random
import signal
from collections import Counter
from email import message_from_bytes

import psycopg
import pytest

from tests.alerts.conftest import at
from tests.outbox.conftest import Receiver, Server, listening

QUICK, ALL = 3, 100  # seeds, of which each is killed twice
STEPS = 90  # statements, commits and messages of one round

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["orchestration.alerts.evaluation", "orchestration.outbox.delivery"])


def round_trip(environment: dict[str, str], now: float, fatal_step: int | None) -> None:
    """An evaluation and a delivery, in a process that dies at one of its steps."""
    import smtplib
    from datetime import UTC, datetime

    from orchestration import settings
    from orchestration.alerts.evaluation import evaluate
    from orchestration.alerts.lineage import Lineage
    from orchestration.outbox import delivery, http
    from orchestration.warehouse import database

    os.environ.update(environment)
    steps = iter(range(1, 1_000_000))

    def deadly(function):
        def call(*arguments, **named):
            done = function(*arguments, **named)
            if next(steps) == fatal_step:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        return call

    for owner, name in (
        (psycopg.Connection, "execute"), (psycopg.Connection, "commit"), (psycopg.Cursor, "executemany"),
        (smtplib.SMTP, "data"), (http, "_judge"),
    ):  # fmt: skip
        setattr(owner, name, deadly(getattr(owner, name)))
    with database.connect(rows=True) as connection:
        evaluate(connection, settings.alerts(), datetime.fromtimestamp(now, UTC), Lineage())
    delivery.TURN_SECONDS = 60  # however slow this machine is: the receivers are not
    delivery.deliver()


def run(environment: dict[str, str], hour: int, fatal_step: int | None) -> bool:
    """Whether it was killed."""
    process = _processes.Process(target=round_trip, args=(environment, at(hour).timestamp(), fatal_step))
    process.start()
    process.join(300)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.parametrize(
    "seeds", [range(QUICK), pytest.param(range(QUICK, ALL), marks=pytest.mark.nightly)], ids=["few", "hundred"]
)
def test_nothing_is_missing_and_a_kill_repeats_one_at_most(published, tmp_path, monkeypatch, seeds):
    server, receiver = Server(), Receiver()
    monkeypatch.setenv("TIDEMARK_CONFIG", str(tmp_path))
    (tmp_path / "tenant.yml").write_text("name: Test\n")
    errors = {
        "kind": "threshold", "metric": "error_rate", "segment": "endpoint=*", "above": 0.1, "group": "incident",
        "recipients": ["a@example.com", "b@example.com"], "channels": ["hook"],
    }  # fmt: skip
    hook = {"kind": "webhook", "url": f"http://127.0.0.1:{receiver.port}/", "secrets": ["${HOOK_SECRET}"]}
    (tmp_path / "alerts.yml").write_text(
        json.dumps({"channels": {"hook": hook | {"allow_private": True}}, "rules": {"errors": errors}})
    )
    with listening(server) as place:
        environment = {name: value for name, value in os.environ.items() if name.startswith("TIDEMARK_")}
        environment |= {"TIDEMARK_SMTP_URL": f"smtp://{place}", "HOOK_SECRET": "whsec_bmV3IHNlY3JldA=="}
        for seed in seeds:
            one_life(published, server, receiver, environment, random.Random(seed))
    receiver.server.shutdown()


def one_life(published, server: Server, receiver: Receiver, environment: dict, dice: random.Random) -> None:
    """Two incidents open and end; each round is killed once at a random step, and then done again."""
    server.received.clear()
    receiver.received.clear()
    published.connection.execute(
        """truncate api.metric_hourly, ops.incidents, ops.alert_marks, ops.outbox, ops.incident_history,
                    ops.incident_messages"""
    )
    kills = 0
    for first, values, hour in ((0, [0.0, 0.5], 2), (2, [0.0, 0.0], 4)):
        for segment in ("endpoint=/buy", "endpoint=/find"):
            published.hours("error_rate", values, segment=segment, first=first)
        published.connection.commit()
        kills += run(environment, hour, dice.randint(1, STEPS))
        published.connection.execute("update ops.outbox set next_attempt_at = now() where status = 'pending'")
        published.connection.commit()
        run(environment, hour, None)
    mails = Counter(message_from_bytes(envelope.content)["Message-ID"] for envelope in server.received)
    posts = Counter(headers["webhook-id"] for _, headers, _ in receiver.received)
    rows = published.connection.execute("select channel, message_id, status from ops.outbox").fetchall()
    published.connection.commit()
    assert len(rows) == 2 * 2 * 3  # two incidents begin and end, for two people and a program
    assert {row["status"] for row in rows} == {"sent"}
    assert set(mails) == {f"<{row['message_id']}@tidemark>" for row in rows if row["channel"] == "mail"}
    assert set(posts) == {row["message_id"] for row in rows if row["channel"] == "hook"}
    # Channels take turns: one message of all of them may have been between its receiver and the outbox.
    assert sum(mails.values()) - len(mails) + sum(posts.values()) - len(posts) <= kills
