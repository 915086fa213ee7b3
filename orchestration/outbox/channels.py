"""Channels beside mail: how a notification is worded for each, and where it is posted. No database here."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import charset
from hashlib import sha256
from itertools import accumulate

from orchestration.outbox.http import Request, post
from orchestration.outbox.transports import Deferred, Message, Transport
from orchestration.settings import (
    AlertmanagerChannel,
    AppriseChannel,
    Channel,
    PagerDutyChannel,
    SlackChannel,
    WebhookChannel,
    filled,
    settings,
)


@dataclass(frozen=True)
class Posting:
    """A channel that takes one request for each message."""

    word: Callable[[Message], Request]

    def send(self, message: Message) -> str:
        return post(self.word(message))

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Texting:
    """A channel that apprise knows: it takes a title and a text."""

    url: str

    def send(self, message: Message) -> str:
        before = charset.CHARSETS["utf-8"]
        try:
            from apprise import Apprise, NotifyFormat

            service = Apprise()
            if not service.add(self.url):
                raise Deferred("apprise knows no service of that address: correct it in config/alerts.yml.")
            payload = message.payload
            if not service.notify(title=payload["message"], body=payload["text"], body_format=NotifyFormat.TEXT):
                raise Deferred("apprise could not deliver it: its service did not take it.")
            return f"taken by {service[0].service_name}"
        finally:
            charset.CHARSETS["utf-8"] = before  # it changes how the whole process writes mail

    def close(self) -> None:
        pass


def channel(config: Channel) -> Transport:
    """The way out over a channel. Raises TidemarkError where the environment lacks one of its secrets."""
    match config:
        case WebhookChannel():
            return Posting(_webhook(config))
        case SlackChannel():
            return Posting(_slack(config))
        case PagerDutyChannel():
            return Posting(_pagerduty(config))
        case AlertmanagerChannel():
            return Posting(_alertmanager(config))
        case AppriseChannel():
            return Texting(filled(config.url, "alerts.yml"))
    raise TypeError(f"{type(config).__name__} is not a channel")


def address_hash(config: Channel) -> str:
    """Tells whether a channel leads elsewhere than before, without telling where."""
    return sha256(json.dumps(config.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def _webhook(config: WebhookChannel) -> Callable[[Message], Request]:
    """Standard Webhooks 1.0: `webhook-id` is the message's, and each secret signs, so that one may be rotated."""
    from standardwebhooks import Webhook

    url, signers = filled(config.url, "alerts.yml"), [Webhook(filled(one, "alerts.yml")) for one in config.secrets]

    def word(message: Message) -> Request:
        now = datetime.now(UTC)
        payload = message.payload
        body = json.dumps({"type": payload["type"], "timestamp": payload["timestamp"], "data": payload})
        headers = {
            "webhook-id": message.message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signer.sign(message.message_id, now, body) for signer in signers),
        }
        return Request(url, body.encode(), headers, config.allow_private)

    return word


def _slack(config: SlackChannel) -> Callable[[Message], Request]:
    url = filled(config.url, "alerts.yml")

    def word(message: Message) -> Request:
        payload = message.payload
        lines = [f"*[{payload['severity']}] {slack_text(payload['message'])}*", slack_text(payload["text"])]
        for one in payload["incidents"]:
            causes = "".join(f"\n    {slack_text(cause)}" for cause in one["causes"])
            answer = "" if one["status"] == "resolved" else f" <{one['answer_url']}|Answer>"
            lines.append(f"• {slack_text(one['headline'])}{answer}{causes}")
        text = "\n".join(_fitting(lines))
        body = {
            "text": slack_text(payload["message"]),
            "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}}],
        }
        return Request(url, json.dumps(body).encode(), {}, config.allow_private)

    return word


def _fitting(lines: list[str]) -> list[str]:
    """As many lines as Slack takes, none of them cut in a link or an escape."""
    return [line for line, end in zip(lines, accumulate(len(line) + 1 for line in lines), strict=True) if end <= 3000]


def slack_text(text: str) -> str:
    """Text in which nothing is a mention or a link: Slack asks for these three characters to be escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _pagerduty(config: PagerDutyChannel) -> Callable[[Message], Request]:
    url, key = filled(config.url, "alerts.yml"), filled(config.routing_key, "alerts.yml")

    def word(message: Message) -> Request:
        payload = message.payload
        is_over = payload["open_in_thread"] == 0
        event = {
            "routing_key": key,
            "dedup_key": payload["thread"],
            "event_action": "resolve" if is_over else "trigger",
        }
        if not is_over:
            first = payload["incidents"][0]
            event |= {
                "client": "Tidemark",
                "client_url": payload["pipeline_url"],
                "payload": {
                    "summary": payload["message"][:1024],
                    "source": "tidemark",
                    "severity": payload["severity"],
                    "timestamp": first["started_at"],
                    "component": first["metric"],
                    "group": first["rule"],
                    "custom_details": {
                        "text": payload["text"],
                        "incidents": [one["detail"] for one in payload["incidents"]],
                        "causes": first["causes"],
                    },
                },
                "links": [{"href": first["answer_url"], "text": "Answer in Tidemark"}],
            }
        return Request(url, json.dumps(event).encode(), {}, config.allow_private)

    return word


def _alertmanager(config: AlertmanagerChannel) -> Callable[[Message], Request]:
    """The body of Alertmanager's webhooks, version 4."""
    url = filled(config.url, "alerts.yml")

    def word(message: Message) -> Request:
        payload = message.payload
        body = {
            "version": "4",
            "groupKey": payload["thread"],
            "truncatedAlerts": payload["incidents_total"] - len(payload["incidents"]),
            "status": "resolved" if payload["open_in_thread"] == 0 else "firing",
            "receiver": message.recipient,
            "groupLabels": {},
            "commonLabels": {"severity": payload["severity"]},
            "commonAnnotations": {"summary": payload["message"]},
            "externalURL": settings().public_url,
            "alerts": [_alert(one) for one in payload["incidents"]],
        }
        return Request(url, json.dumps(body).encode(), {}, config.allow_private)

    return word


def _alert(one: dict) -> dict:
    labels = {"alertname": one["rule"], "severity": one["severity"], "metric": one["metric"], "segment": one["segment"]}
    annotations = {"summary": one["headline"], "description": one["detail"]}
    if one["runbook"]:
        annotations["runbook_url"] = one["runbook"]
    return {
        "status": "resolved" if one["status"] == "resolved" else "firing",
        "labels": labels,
        "annotations": annotations,
        "startsAt": one["started_at"],
        "endsAt": one["ended_at"] or "0001-01-01T00:00:00Z",
        "generatorURL": one["answer_url"],
        "fingerprint": sha256(one["fingerprint"].encode()).hexdigest()[:16],
    }
