"""Events in the formats of other tools: how many of each file are loaded, what becomes of the others, and why."""

import gzip
import json
import shutil
from pathlib import Path

import pytest
import yaml

from orchestration.ingest.loader import ingest
from orchestration.settings import ROOT

# Sources as a user would write them, beside those that are shipped.
SOURCES = r"""
snowplow:
  format: csv
  timezone: UTC
  mapping:
    event_type: [event_name, event]
    occurred_at: [derived_tstamp, collector_tstamp]
    received_at: collector_tstamp
    event_id: event_id
    user_id: [user_id, domain_userid, network_userid]
    session_id: domain_sessionid
    properties:
      path: page_urlpath
      title: page_title
      country: geo_country
      br_cookies: {column: br_cookies, type: boolean}
      contexts_com_snowplowanalytics_snowplow_web_page_1_0_0:
        {column: contexts_com_snowplowanalytics_snowplow_web_page_1_0_0, type: json}
snowplow-context:
  format: csv
  timezone: UTC
  user_id: optional
  mapping:
    event_type: {value: context_attached}
    occurred_at: root_tstamp
    properties: {event_id: root_id}
snowplow-cmp-visible:
  format: csv
  timezone: UTC
  user_id: optional
  mapping:
    event_type: {value: cmp_visible}
    occurred_at: {column: root_tstamp, format: " %Y-%m-%d %H:%M:%S.%f"}
    properties: {event_id: root_id}
amplitude:
  format: csv
  timezone: UTC
  mapping:
    event_type: event_type
    occurred_at: event_time
    received_at: server_received_time
    event_id: uuid
    user_id: [user_id, device_id, amplitude_id]
    properties:
      event_properties: {column: event_properties, type: json}
      user_properties: {column: user_properties, type: json}
      data: {column: data, type: json}
amplitude-event-types:
  format: csv
  timezone: UTC
  user_id: optional
  mapping:
    event_type: {value: event_type_listed}
    occurred_at: _fivetran_synced
    properties: {totals: {column: totals, type: integer}}
mixpanel:
  format: csv
  timezone: UTC
  mapping:
    event_type: name
    occurred_at: time
    event_id: insert_id
    user_id: distinct_id
    properties: {properties: {column: properties, type: json}}
github-events:
  format: json
  mapping:
    event_type: {column: type, slug: true}
    occurred_at: created_at
    event_id: id
    user_id: actor.login
    properties: {repository: repo.name, action: payload.action}
github-webhooks:
  format: json
  user_id: optional
  mapping:
    event_type: event
    occurred_at:
      - payload.comment.updated_at
      - payload.review.submitted_at
      - payload.issue.updated_at
      - payload.pull_request.updated_at
      - payload.deployment.updated_at
      - payload.head_commit.timestamp
      - payload.repository.updated_at
      - payload.installation.updated_at
      - payload.organization.updated_at
    user_id: [payload.sender.login, payload.sender.id]
    properties: {action: payload.action, repository: payload.repository.full_name}
apache-log:
  format: lines
  line: >-
    (?P<host>\S+) (?P<identity>\S+) (?:-|(?P<user>\S+)) \[(?P<time>[^]]+)\]
    "(?:(?P<method>[A-Z]+) (?P<path>\S+) (?P<protocol>[^"]+)|(?P<request>[^"]*))"
    (?P<status>\d+) (?:-|(?P<size>\d+)) "(?:-|(?P<referrer>[^"]*))" "(?:-|(?P<agent>[^"]*))"
  mapping:
    event_type: {value: request_served}
    occurred_at: {column: time, format: "%d/%b/%Y:%H:%M:%S %z"}
    user_id: [user, host]
    properties:
      endpoint: path
      method: method
      status: {column: status, type: integer}
      size: {column: size, type: integer}
"""


@pytest.fixture
def load(data, warehouse, monkeypatch, tmp_path, query, write):
    """Load a file of the folder raw-events, or records, and give (loaded, duplicate, quarantined by reason)."""
    config = tmp_path / "config"
    shutil.copytree(ROOT / "config", config)
    shipped = yaml.safe_load((config / "sources.yml").read_text())["sources"]
    (config / "sources.yml").write_text(yaml.safe_dump({"sources": shipped | yaml.safe_load(SOURCES)}))
    monkeypatch.setenv("TIDEMARK_CONFIG", str(config))

    def load(source: str, what: str | list) -> tuple[int, int, dict[str, int]]:
        path = data / "raw-events" / what if isinstance(what, str) else write(f"{source}.jsonl", what)
        (load,) = ingest(source, [path])
        reasons = query("select reason, count(*) from raw.quarantine where load_id = %s group by 1", load.load_id)
        assert load.received == load.loaded + load.duplicate + load.quarantined
        assert sum(count for _, count in reasons) == load.quarantined
        return load.loaded, load.duplicate, dict(reasons)

    return load


def records(data: Path, name: str) -> list[dict]:
    with gzip.open(data / "raw-events" / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


# Files that load as they are, or whose records are wrapped in what is no part of their format.
FILES = {
    # CloudEvents need no time, Tidemark does: 13 of the specification's examples have none. Two have one identity.
    "cloudevents": ("cloudevents", "cloudevents/cloudevents_examples.jsonl.gz", "event", (8, 1, {"missing_field": 13})),
    "xapi-tccc": ("xapi", "xapi-tccc/tccc_dev.jsonl.gz", None, (2814, 0, {})),
    "github-events": ("github-events", "github-events/2021-07-21-few-hours.jsonl.gz", None, (800, 0, {})),
    # The sixth line of the logger lacks a bracket, another breaks off in the middle.
    "openedx": ("openedx", "openedx-tracking-to-xapi/tracking.log.gz", None, (10, 0, {"invalid_json": 2})),
    # Line 8,899 breaks off in the name of the browser.
    "apache": ("apache-log", "apache-access-log/apache_logs.gz", None, (9999, 0, {"unmatched_line": 1})),
    # Of five rows, two repeat an insert_id at another time; of its events, Amplitude's file repeats none.
    "mixpanel": ("mixpanel", "vendor-exports/mixpanel_event.csv.gz", None, (3, 0, {"conflicting_duplicate": 2})),
    "amplitude": ("amplitude", "vendor-exports/amplitude_event_data.csv.gz", None, (10, 0, {})),
    "amplitude-types": (
        "amplitude-event-types", "vendor-exports/amplitude_event_type_data.csv.gz", None, (6, 0, {}),
    ),
    # 160 rows, 157 distinct ids: the authors repeated three at other times to see what deduplication does.
    "snowplow": ("snowplow", "snowplow/snowplow_web_events.csv.gz", None, (157, 0, {"conflicting_duplicate": 3})),
    # The last of 1,001 rows has nothing but a context.
    "snowplow-vitals": (
        "snowplow", "snowplow/snowplow_web_vital_events.csv.gz", None, (1000, 0, {"missing_field": 1}),
    ),
    # What is attached to events has no identity of its own: every row counts. Its times begin with a blank.
    "cmp-visible": ("snowplow-cmp-visible", "snowplow/snowplow_web_consent_cmp_visible.csv.gz", None, (34, 0, {})),
    "consent": ("snowplow-context", "snowplow/snowplow_web_consent_preferences.csv.gz", None, (33, 0, {})),
    "spiders": ("snowplow-context", "snowplow/snowplow_web_spider_context.csv.gz", None, (1160, 0, {})),
    "agents": ("snowplow-context", "snowplow/snowplow_web_ua_context.csv.gz", None, (160, 0, {})),
    "yauaa": ("snowplow-context", "snowplow/snowplow_web_yauaa_context.csv.gz", None, (1160, 0, {})),
    # 31 rows name neither an event nor a time.
    "vitals": ("snowplow-context", "snowplow/snowplow_web_cwv_context.csv.gz", None, (1000, 0, {"missing_field": 31})),
}  # fmt: skip


@pytest.mark.parametrize(("source", "name", "wrapped", "expected"), FILES.values(), ids=FILES)
def test_a_file_loads_but_for_what_is_wrong_with_it(load, data, source, name, wrapped, expected):
    assert load(source, [record[wrapped] for record in records(data, name)] if wrapped else name) == expected


def test_segment_specification(load, data, query):
    examples = [r["payload"] for r in records(data, "segment-spec/segment_spec_examples.jsonl.gz") if "payload" in r]
    # Of 77 examples in the form of a message (54 more are calls of a JavaScript function), 7 say when it was.
    timed = [example for example in examples if "timestamp" in example]
    assert (len(examples), len(timed)) == (77, 7)
    # Those 7 were copied from page to page: they have three messageIds, one of which appears at two times.
    assert load("segment", examples) == (2, 4, {"missing_field": 70, "conflicting_duplicate": 1})
    complete = [
        example | {"timestamp": "2026-03-01T10:00:00Z", "messageId": f"m{number}", "userId": "u1"}
        for number, example in enumerate(examples)
    ]
    # One example has neither a type nor an event: what all calls have in common.
    assert load("segment", complete) == (76, 0, {"missing_field": 1})
    (order,) = query("select properties from raw.events where event_type = 'order_completed' and event_id ~ '^m'")
    assert order[0]["products"]


def test_rudderstack(load, data, query):
    """Recounted from the messages, by what the contract says: the first thing that is wrong is the reason."""
    messages = [record["message"] for record in records(data, "rudderstack/rudderstack_messages.jsonl.gz")]
    loaded, duplicate, reasons = load("segment", messages)
    assert loaded + duplicate + sum(reasons.values()) == len(messages) == 1181
    refused = {position for (position,) in query("select position from raw.quarantine")}

    def positions(is_so) -> set[int]:
        return {number for number, message in enumerate(messages, 1) if is_so(message)}

    nobody = positions(lambda m: not m.get("userId") and not m.get("anonymousId"))
    timeless = positions(lambda m: not m.get("timestamp") and not m.get("originalTimestamp"))
    unnamed = positions(lambda m: not m.get("messageId"))
    untyped = positions(lambda m: (m.get("type") or "track") == "track" and not m.get("event"))
    misshapen = positions(
        lambda m: (
            not isinstance(m.get("event", ""), str)
            or not isinstance(m.get("properties", {}), dict)
            or not isinstance(m.get("timestamp", ""), str)
        )
    )
    assert (len(nobody), len(timeless), len(unnamed), len(misshapen)) == (40, 129, 254, 8)
    assert nobody | timeless | untyped | misshapen <= refused
    # A message without a user or a time is missing a field, unless something else is not even of its type.
    assert reasons["missing_field"] == len((nobody | timeless | untyped) - misshapen)
    # 6 say only the day, and one says "safaff".
    assert reasons["invalid_time"] == 7
    # Two lists of products are objects; the prices that came as texts became numbers.
    assert reasons["wrong_type"] == len(misshapen) + 2
    # Every other one that names itself is loaded, or repeats a name at the same time or at another.
    assert len(messages) == loaded + duplicate + sum(reasons.values())
    named = [message for number, message in enumerate(messages, 1) if number not in unnamed | refused]
    assert loaded == len({message["messageId"] for message in named}) + len(unnamed - refused)
    assert duplicate == len(named) - len({message["messageId"] for message in named})
    assert reasons.keys() == {"missing_field", "invalid_time", "wrong_type", "conflicting_duplicate"}


def test_github_webhooks(load, data):
    """A webhook's body says what, and who, but not when: the newest of the things that it is about has to do."""
    hooks = [
        {"event": record["file"].split("/")[0], "payload": record["payload"]}
        for record in records(data, "github-webhooks/payload_examples.jsonl.gz")
    ]
    loaded, duplicate, reasons = load("github-webhooks", hooks)
    # 30 are about nothing that has a time; 6 pushes write theirs as seconds, where all others write RFC 3339.
    assert (loaded, duplicate, reasons) == (237, 0, {"missing_field": 30, "invalid_time": 6})
    assert len(hooks) == 273
