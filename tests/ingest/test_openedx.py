"""Tracking logs of Open edX, and what its own translator makes of them in xAPI: the same events, the same metrics."""

import copy
import json
from datetime import datetime, timedelta

import pytest

from orchestration.ingest.loader import ingest
from tests.ingest.dialects.reading import read
from tests.ingest.test_real_input import records

FIXTURES = "openedx-tracking-to-xapi/fixtures.jsonl.gz"
COMPARED = ("content_id", "score", "duration_seconds")
YEARS = timedelta(days=364 * 5)  # the same weekdays and, in UTC, the same hours
ROUGHLY = 9  # decimals: the translator writes two thirds as a float


def pairs(data) -> list[tuple[dict, list[dict]]]:
    found = [(record["tracking_log"], record["xapi"]) for record in records(data, FIXTURES) if record["xapi"]]
    return [(log, xapi if isinstance(xapi, list) else [xapi]) for log, xapi in found]


def told(form: str, records: list[dict]) -> list[tuple]:
    events, refusals, _ = read(form, records)
    assert refusals == []
    rows = []
    for event in events:
        occurred_at = datetime.fromisoformat(event["occurred_at"])
        values = [round(float(v), ROUGHLY) if _is_number(v) else v for v in map(event["properties"].get, COMPARED)]
        rows.append((event["event_type"], occurred_at.isoformat(), event["session_id"] or "", *values))
    return sorted(rows, key=repr)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and value.replace(".", "", 1).isdigit())


def test_each_pair_is_the_same_events(data):
    found = pairs(data)
    assert len(found) == 77
    for log, statements in found:
        assert told("openedx", [log]) == told("xapi", statements), log["name"]


@pytest.fixture
def both(data, warehouse, write):
    """The logs, and five years before them the statements, of those pairs of which the log says whose they are.

    The translator's own tests gave everybody the same anonymous name, and repeated ids: here each statement is its
    pair's user's, and has an id of its own.
    """
    logs, statements = [], []
    for number, (log, translated) in enumerate(pairs(data)):
        user = (log.get("context") or {}).get("user_id") or (log.get("data") or log.get("event") or {}).get("user_id")
        if not user:
            continue
        logs.append(log)
        for part, statement in enumerate(copy.deepcopy(translated)):
            statement["id"] = f"{number}-{part}"
            statement["actor"] = {"account": {"homePage": "https://lms.example", "name": str(user)}}
            statement["timestamp"] = (datetime.fromisoformat(statement["timestamp"]) - YEARS).isoformat()
            statements.append(statement)
    ingest("openedx", [write("tracking.log", logs)])
    (load,) = ingest("xapi", [write("statements.json", [json.dumps(statements)])])
    assert load.loaded == len(statements)
    return load.load_id


def test_both_give_the_same_metrics(both, dbt, query):
    dbt.build("staging marts published", both)
    (names,) = zip(*query("select distinct metric from marts.metric_hourly"), strict=True)
    assert {"active_users", "events", "sessions", "content_completions"} <= set(names)
    split = datetime.fromisoformat("2019-06-01T00:00:00+00:00")
    rows = query("select metric, segment, hour, value from marts.metric_hourly order by 1, 2, 3")
    of_logs = [row for row in rows if row[2] > split]
    of_statements = [(metric, segment, hour + YEARS, value) for metric, segment, hour, value in rows if hour < split]
    assert of_logs and of_logs == of_statements
