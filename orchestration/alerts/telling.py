"""Who is told what of which incident, and what is held back: silences, quiet hours, snoozing, escalation, storms.

Each evaluation compares what everybody was told with how things are, and queues the difference: a message that cannot
be told now is told by a later one, if it is still true. One that is queued and did not get out before it was over is
withdrawn, and told with its end.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import groupby
from zoneinfo import ZoneInfo

import psycopg

from orchestration.alerts import incidents, notifications
from orchestration.settings import Alerts, QuietHours, Rule, tenant
from orchestration.warehouse import outbox

SEVERITIES = ("critical", "warning", "info")
_CHANNEL = "channel:"
_TOLD = ("opened", "reopened", "escalated", "reminded")

# Messages that nobody got and that tell only of incidents which are over by now. Where the end of one of them is told
# already, they stay: it waits for them.
_OVERTAKEN = """status = 'pending'
    and message_id in (
        select message_id from ops.incident_messages join ops.incidents using (incident_id)
        where incidents.status = 'resolved' and not is_settled and (%(only)s::text is null or rule = %(only)s)
    )
    and not exists (
        select from ops.incident_messages as told join ops.incidents using (incident_id)
        where told.message_id = outbox.message_id
          and (incidents.status <> 'resolved' or is_settled or event <> all(%(events)s))
    )"""


@dataclass(frozen=True)
class Item:
    """Something that a receiver is to be told of an incident; in a thread, if they were told of it before."""

    receiver: str
    event: str
    step: int
    row: dict
    rule: Rule | None
    thread_id: str | None = None

    @property
    def group(self) -> tuple:
        """What shares one message."""
        if self.thread_id:
            return (self.event, self.thread_id)
        return (self.event, self.row["rule"], self.row["incident_id"] if self.rule.group == "incident" else 0)

    @property
    def rank(self) -> tuple:
        return (SEVERITIES.index(self.row["severity"]), self.row["opened_hour"], self.row["incident_id"])


def tell(
    connection: psycopg.Connection, config: Alerts, now: datetime, fresh: Iterable[int], only: str | None = None
) -> int:
    """Queue what is to be told at `now`; return the number of messages. `fresh` opened in this evaluation.

    With `only`, nothing is told but of incidents of that rule.
    """
    _withdraw(connection, now, only)
    told = _told(connection)
    fresh = set(fresh)
    items: list[Item] = []
    speakable = _speakable(connection, config, now, only)
    for row, rule in speakable:
        is_woken = row["snoozed_until"] is not None and row["status"] != "resolved"
        if is_woken:
            _wake(connection, row, now)
        while _step_is_due(row, rule, now):
            _escalate(connection, row, now)
        items += _wanted(config, row, rule, told.get(row["incident_id"], {}), is_woken, row["incident_id"] in fresh)
    sent, held = 0, set()
    for receiver, own in groupby(sorted(items, key=lambda item: item.receiver), key=lambda item: item.receiver):
        bundles, rest = _fitting(connection, config, receiver, list(own), now)
        for bundle in bundles:
            _queue(connection, config, receiver, bundle, now)
        sent += len(bundles)
        held |= {item.row["incident_id"] for item in rest}
    _settle(connection, [row for row, _ in speakable], held)
    return sent


def is_due(connection: psycopg.Connection, config: Alerts, now: datetime) -> bool:
    """Whether time alone is a reason to look: a snooze or quiet hours ended, a step is due, something waits.

    Or somebody resolved what others wait to hear of.
    """
    told = _told(connection)
    overtaken = f"select exists (select from ops.outbox where {_OVERTAKEN}) as waits"
    return connection.execute(overtaken, {"only": None, "events": list(_TOLD)}).fetchone()["waits"] or any(
        (row["snoozed_until"] is not None and row["status"] != "resolved")
        or _step_is_due(row, rule, now)
        or _wanted(config, row, rule, told.get(row["incident_id"], {}), False, False)
        for row, rule in _speakable(connection, config, now, None)
    )


def _withdraw(connection: psycopg.Connection, now: datetime, only: str | None) -> None:
    """Nobody hears of a beginning after the end: not when a dead channel is back, nor when quiet hours are over.

    What is being sent at this moment is left to be sent.
    """
    connection.execute(
        f"""with overtaken as (
                select message_id from ops.outbox where {_OVERTAKEN} for update skip locked
            ),
            withdrawn as (
                update ops.outbox set status = 'withdrawn', last_error = 'It was over before this could be delivered.'
                where message_id in (select message_id from overtaken)
                returning message_id, topic
            )
            insert into ops.incident_history (incident_id, at, actor, action, detail)
            select incident_id, %(now)s, %(actor)s, 'withdrawn', receiver || ': ' || topic
            from withdrawn join ops.incident_messages using (message_id)
            order by told_id""",
        {"only": only, "events": list(_TOLD), "now": now, "actor": incidents.SYSTEM},
    )


def _speakable(
    connection: psycopg.Connection, config: Alerts, now: datetime, only: str | None
) -> list[tuple[dict, Rule | None]]:
    """The unsettled incidents of which something may be said at `now`, each with its rule, if it still has one."""
    rows = connection.execute(
        """select * from ops.incidents where not is_settled and (%(only)s::text is null or rule = %(only)s)
           order by incident_id""",
        {"only": only},
    ).fetchall()
    active = incidents.silences(connection, now)
    ruled = [(row, config.rules.get(row["rule"])) for row in rows]
    return [
        (row, rule)
        for row, rule in ruled
        if not (incidents.is_silenced(row, active) or is_quiet(config, row, rule, now) or _sleeps(row, now))
    ]


def is_quiet(config: Alerts, row: dict, rule: Rule | None, now: datetime) -> bool:
    """Whether nothing is said of an incident at this time of day. What is critical is always said."""
    quiet = _quiet_hours(config, row, rule)
    if quiet is None:
        return False
    clock = now.astimezone(ZoneInfo(quiet.timezone) if quiet.timezone else tenant().zone).time()
    if quiet.start <= quiet.end:
        return quiet.start <= clock < quiet.end
    return clock >= quiet.start or clock < quiet.end


def _quiet_hours(config: Alerts, row: dict, rule: Rule | None) -> QuietHours | None:
    quiet = config.quiet_hours if rule is None or rule.quiet_hours is None else rule.quiet_hours
    return None if row["severity"] == "critical" or quiet == "none" else quiet


def _spans(config: Alerts, items: list[Item]) -> list[dict]:
    """The quiet hours in which a message waits: those of all that it tells of, unless something overrides them."""
    quiet = [_quiet_hours(config, item.row, item.rule) for item in items]
    if None in quiet:
        return []
    spans = {(str(one.start), str(one.end), one.timezone or tenant().timezone) for one in quiet}
    return [dict(zip(("from", "to", "timezone"), span, strict=True)) for span in sorted(spans)]


def _sleeps(row: dict, now: datetime) -> bool:
    return row["status"] != "resolved" and row["snoozed_until"] is not None and row["snoozed_until"] > now


def _wake(connection: psycopg.Connection, row: dict, now: datetime) -> None:
    """The snooze is over. Escalation counts anew: whoever snoozed it had seen it."""
    connection.execute(
        """update ops.incidents
           set snoozed_until = null, told_at = case when told_at is not null then %s::timestamptz end
           where incident_id = %s""",
        [now, row["incident_id"]],
    )
    row["told_at"] = row["told_at"] and now
    incidents.note(connection, row["incident_id"], now, incidents.SYSTEM, "woken")


def _step_is_due(row: dict, rule: Rule | None, now: datetime) -> bool:
    """Whether the next step of escalation has to be taken: only while it is open, counted from when it was told."""
    steps = rule.escalation if rule else []
    return (
        row["status"] == "open"
        and row["told_at"] is not None
        and row["escalations"] < len(steps)
        and row["told_at"] + steps[row["escalations"]].after <= now
    )


def _escalate(connection: psycopg.Connection, row: dict, now: datetime) -> None:
    row["escalations"] += 1
    connection.execute(
        "update ops.incidents set escalations = %s where incident_id = %s", [row["escalations"], row["incident_id"]]
    )
    incidents.note(connection, row["incident_id"], now, incidents.SYSTEM, "escalated", f"step {row['escalations']}")


def _wanted(
    config: Alerts, row: dict, rule: Rule | None, told: dict[str, list[dict]], is_woken: bool, is_fresh: bool
) -> list[Item]:
    """What is to be told of one incident, to each receiver."""
    wanted = []
    if row["status"] == "resolved":
        heard = _heard(told)
        for receiver, messages in heard.items():
            if messages[-1]["event"] in _TOLD and _is_known(config, receiver):
                wanted.append(Item(receiver, "resolved", 0, row, rule, messages[-1]["thread_id"]))
        withdrawn = {who: messages[-1]["thread_id"] for who, messages in told.items() if messages[-1]["is_withdrawn"]}
        for receiver, thread in withdrawn.items() if rule else []:
            knows_of_none = receiver not in heard or heard[receiver][-1]["event"] not in _TOLD
            if knows_of_none and _is_known(config, receiver):
                wanted.append(Item(receiver, "over", 0, row, rule, thread))
        was_never_open = all(messages[-1]["event"] == "over" for messages in heard.values())
        if rule and was_never_open and (is_fresh or row["is_held"]):
            untold = [receiver for receiver in _receivers(rule) if receiver not in heard and receiver not in withdrawn]
            wanted += [Item(receiver, "over", 0, row, rule) for receiver in untold]
        return wanted
    if rule is None:
        return []
    told = _heard(told)
    for receiver in _receivers(rule):
        messages = told.get(receiver, [])
        thread = messages[-1]["thread_id"] if messages else None
        if not messages:
            wanted.append(Item(receiver, "opened", 0, row, rule))
        elif messages[-1]["event"] not in _TOLD:
            wanted.append(Item(receiver, "reopened", 0, row, rule, thread))
        elif is_woken:
            wanted.append(Item(receiver, "reminded", 0, row, rule, thread))
    steps = rule.escalation[: row["escalations"]] if row["status"] == "open" else []
    for number, step in enumerate(steps, 1):
        for receiver in _receivers(step):
            messages = told.get(receiver, [])
            is_told = any(
                one["event"] == "escalated" and one["step"] >= number and one["opening"] == row["openings"]
                for one in messages
            )
            if not is_told:
                thread = messages[-1]["thread_id"] if messages else None
                wanted.append(Item(receiver, "escalated", number, row, rule, thread))
    return wanted


def _heard(told: dict[str, list[dict]]) -> dict[str, list[dict]]:
    """What was not withdrawn, by receivers of whom anything is left."""
    heard = {who: [one for one in messages if not one["is_withdrawn"]] for who, messages in told.items()}
    return {who: messages for who, messages in heard.items() if messages}


def _receivers(who) -> list[str]:
    return [*dict.fromkeys([*who.recipients, *(_CHANNEL + name for name in who.channels)])]


def _is_known(config: Alerts, receiver: str) -> bool:
    return not receiver.startswith(_CHANNEL) or receiver.removeprefix(_CHANNEL) in config.channels


def _fitting(
    connection: psycopg.Connection, config: Alerts, receiver: str, items: list[Item], now: datetime
) -> tuple[list[list[Item]], list[Item]]:
    """What one receiver is to be told, in as many messages as an hour may have, and what has to wait.

    When there is more, the last message tells all that is left; when the hour has had its messages, everything waits.
    """
    room = (
        config.messages_per_hour
        - connection.execute(
            "select count(distinct message_id) as sent from ops.incident_messages where receiver = %s and at > %s",
            [receiver, now - timedelta(hours=1)],
        ).fetchone()["sent"]
    )
    if room <= 0:
        return [], items
    items.sort(key=lambda item: item.rank)
    groups: dict[tuple, list[Item]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    bundles = list(groups.values())
    if len(bundles) > room:
        rest = [item for bundle in bundles[room - 1 :] for item in bundle]
        bundles = [*bundles[: room - 1], rest]
    return bundles, []


def _queue(connection: psycopg.Connection, config: Alerts, receiver: str, items: list[Item], now: datetime) -> None:
    """One message about one or more incidents, and what it told of each."""
    what = sorted((item.row["incident_id"], item.row["openings"], item.event, item.step) for item in items)
    marks = [f"{item.row['fingerprint']} {item.row['opened_hour']}" for item in items]
    key = f"incidents {sha256(repr((what, marks, now)).encode()).hexdigest()}"
    threads = {item.thread_id for item in items}
    thread = threads.pop() if len(threads) == 1 else None
    after = None if items[0].event == "over" else thread  # what says all itself waits for nothing
    held = sum(item.row["is_held"] for item in items)
    topic = f"incident {what[0][0]} {items[0].event}" if len(items) == 1 else f"{len(items)} incidents"
    notification = notifications.Notification(
        event=items[0].event if len({item.event for item in items}) == 1 else "several",
        rows=[item.row for item in items],
        rules=[item.rule for item in items],
        held_back=held,
        receiver=receiver,
        now=now,
    )
    quiet = _spans(config, items)
    if receiver.startswith(_CHANNEL):
        open_in_thread = _open_in_thread(connection, thread, items)
        message_id = outbox.enqueue_payload(
            connection,
            receiver.removeprefix(_CHANNEL),
            lambda identity: notifications.payload(notification, thread or identity, open_in_thread),
            topic=topic,
            key=key,
            after=after,
            quiet_hours=quiet,
        )
    else:
        mail = notifications.mail(notification)
        outbox.enqueue(connection, mail, topic=topic, key=key, reply_to=thread, after=after, quiet_hours=quiet)
        message_id = outbox.message_id(key, receiver)
    with connection.cursor() as cursor:
        cursor.executemany(
            """insert into ops.incident_messages
                   (incident_id, opening, receiver, event, step, message_id, thread_id, at)
               values (%s, %s, %s, %s, %s, %s, %s, %s)""",
            [
                (
                    item.row["incident_id"],
                    item.row["openings"],
                    receiver,
                    item.event,
                    item.step,
                    message_id,
                    thread or message_id,
                    now,
                )
                for item in items
            ],
        )
    ids = [item.row["incident_id"] for item in items]
    connection.execute(
        "update ops.incidents set told_at = coalesce(told_at, %s) where incident_id = any(%s)",
        [now, ids],
    )
    connection.execute(
        """insert into ops.incident_history (incident_id, at, actor, action, detail)
           select incident_id, %s, %s, 'told', %s from unnest(%s::bigint[]) as incident_id""",
        [now, incidents.SYSTEM, f"{receiver}: {topic}", ids],
    )


def _open_in_thread(connection: psycopg.Connection, thread: str | None, items: list[Item]) -> int:
    """How many incidents of a thread are not over: a receiver that keeps one state for it resolves it at none."""
    if thread is None:
        return sum(item.row["status"] != "resolved" for item in items)
    return connection.execute(
        """select count(distinct incident_id) as open
           from ops.incident_messages join ops.incidents using (incident_id)
           where thread_id = %s and status <> 'resolved'""",
        [thread],
    ).fetchone()["open"]


def _told(connection: psycopg.Connection) -> dict[int, dict[str, list[dict]]]:
    """The messages about each unsettled incident by receiver, in the order in which they were queued."""
    told: dict[int, dict[str, list[dict]]] = {}
    rows = connection.execute(
        """select incident_messages.*, coalesce(outbox.status = 'withdrawn', false) as is_withdrawn
           from ops.incident_messages
           join ops.incidents using (incident_id)
           left join ops.outbox using (message_id)
           where not is_settled order by told_id"""
    )
    for row in rows:
        told.setdefault(row["incident_id"], {}).setdefault(row["receiver"], []).append(row)
    return told


def _settle(connection: psycopg.Connection, rows: list[dict], held: set[int]) -> None:
    """Remember which of these had to wait. Of what is over and need not, nothing more will be said."""
    connection.execute(
        """update ops.incidents
           set is_held = incident_id = any(%(held)s),
               is_settled = status = 'resolved' and not incident_id = any(%(held)s)
           where incident_id = any(%(ids)s)
             and (is_held <> (incident_id = any(%(held)s)) or status = 'resolved')""",
        {"held": list(held), "ids": [row["incident_id"] for row in rows]},
    )
