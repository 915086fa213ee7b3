"""The files: the same bytes from the same seed, and exactly what the truth says is in them."""

import json
import re
from collections import Counter, defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from orchestration.errors import TidemarkError
from orchestration.simulate import writer
from orchestration.simulate.simulator import simulate
from orchestration.simulate.truth import Truth
from tests.simulate.conftest import START, read

VOCABULARY = Path(__file__).resolve().parents[2] / "docs" / "events.md"


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_same_arguments_same_bytes_and_another_seed_others(tmp_path):
    def files(name, **changes):
        simulate(tmp_path / name, **({"start": START, "days": 8, "events": 4_000, "seed": 3} | changes))
        return contents(tmp_path / name)

    first = files("first")
    assert files("again") == first
    assert files("first") == first, "writing over an earlier simulation leaves nothing of it, and nothing half-written"
    assert set(first) == {f"2026-01-{day:02d}.jsonl" for day in range(5, 13)} | {"truth.json"}
    assert files("other", seed=4)["2026-01-05.jsonl"] != first["2026-01-05.jsonl"]


def test_truth_beside_the_files_is_the_truth_returned(month):
    assert Truth.read(month.directory) == month.truth


def test_every_line_is_accounted_for(month):
    truth = month.truth
    assert month.lines == truth.lines == sum(file.lines for file in truth.files)
    assert dict(Counter(event["event_type"] for event in month.events)) == truth.events
    assert sum(truth.events.values()) == 70_000
    assert month.duplicates == truth.duplicates
    assert dict(month.broken) == truth.broken
    assert truth.lines == 70_000 + truth.duplicates + sum(truth.broken.values())


@pytest.mark.parametrize("seed", [0, 11, 12, 13])
@pytest.mark.parametrize("days, events", [(7, 2_000), (20, 6_000)])
def test_every_line_is_accounted_for_in_small_worlds(tmp_path, seed, days, events):
    start = date(2024, 2, 20) + timedelta(days=100 * seed)  # across a leap day and changes of the clocks
    truth = simulate(tmp_path, start=start, days=days, events=events, seed=seed, broken_rate=0.02)
    reading = read(tmp_path, truth)
    assert len(reading.events) == events
    assert (reading.lines, reading.duplicates) == (truth.lines, truth.duplicates)
    assert reading.broken == {kind: count for kind, count in truth.broken.items() if count}
    assert truth.start <= reading.events[0]["occurred_at"] <= reading.events[-1]["occurred_at"] < truth.end


def test_rates_are_as_asked(month):
    """Binomial counts: within four standard deviations of 2 %, 1 % and 1 % of 70,000."""
    assert month.truth.late == pytest.approx(0.02 * 70_000, abs=4 * 37 + 40)  # on the last day nothing can be late
    assert month.truth.duplicates == pytest.approx(0.01 * 70_000, abs=4 * 26)
    assert sum(month.truth.broken.values()) == pytest.approx(0.01 * 70_000, abs=4 * 26)
    assert max(month.truth.broken.values()) - min(month.truth.broken.values()) <= 1


def test_rates_of_zero_leave_a_clean_record(tmp_path):
    truth = simulate(
        tmp_path, start=START, days=3, events=2_000, late_rate=0, duplicate_rate=0, broken_rate=0, incidents=False
    )
    assert (truth.lines, truth.late, truth.duplicates, truth.incidents) == (2_000, 0, 0, [])
    assert all(event["file"] == f"{event['occurred_at']:%Y-%m-%d}" for event in read(tmp_path, truth).events)


def test_events_arrive_on_their_day_or_later(month):
    assert [file.name for file in month.truth.files] == [f"{START + timedelta(days=day)}.jsonl" for day in range(35)]
    delays = Counter((date.fromisoformat(event["file"]) - event["occurred_at"].date()).days for event in month.events)
    assert min(delays) == 0
    assert len(month.events) - delays[0] == month.truth.late
    assert max(delays) > 3, "some are very late"


def test_all_types_and_properties_are_in_the_vocabulary(month):
    documented = {}
    systems = VOCABULARY.read_text().split("\n## Engagement")[1].split("\n## Sources")[0]
    for name, properties in re.findall(r"^\| `(\w+)` \| (.*) \|$", systems, re.MULTILINE):
        documented[name] = set(re.findall(r"`(\w+)`", properties))
    for event in month.events:
        assert event["properties"].keys() <= documented[event["event_type"]], event
    simulated = {event["event_type"] for event in month.events}
    untold = {"order_line_recorded", "room_paused", "room_resumed", "consent_given", "consent_withdrawn"}
    assert documented.keys() - simulated == untold


def test_nothing_is_null_and_no_address_is_given(month):
    for path in month.directory.glob("*.jsonl"):
        text = path.read_text()
        assert "null" not in text
        assert "@" not in text


def test_money_has_two_decimals_at_most(month):
    for path in list(month.directory.glob("*.jsonl"))[:5]:
        for amount in re.findall(
            r'"(?:total|shipping|tax|discount|price|amount|fee|value|previous_price)":([^,}]+)', path.read_text()
        ):
            assert re.fullmatch(r"\d+\.\d{1,2}", amount), amount


def test_totals_of_days_are_exact(month):
    orders, revenue, refunded = Counter(), defaultdict(Decimal), defaultdict(Decimal)
    for event in month.of("order_completed", "order_refunded"):
        day = event["occurred_at"].date()
        goods = sum(Decimal(str(line["price"])) * line["quantity"] for line in event["properties"]["products"])
        if event["event_type"] == "order_completed":
            orders[day] += 1
            revenue[day] += goods
        else:
            refunded[day] += goods
            revenue[day] -= goods
    for day in month.truth.days:
        assert (day.orders, day.revenue, day.refunded) == (orders[day.date], revenue[day.date], refunded[day.date])
    written = json.loads((month.directory / "truth.json").read_text())["days"][0]["revenue"]
    assert re.fullmatch(r"\d+\.\d\d", written), "exact, as text"


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"days": 6}, "6 days are too few to simulate: ask for 7 or more, or for one or more without incidents."),
        ({"days": 0, "incidents": False}, "0 days are too few"),
        ({"events": 999}, "999 events are too few for 90 days of five systems: ask for 5400 or more."),
        ({"events": 999, "days": 7}, "ask for 2000 or more."),
        ({"seed": -1}, "The seed -1 is negative"),
    ],
)
def test_impossible_wishes_are_refused_in_a_sentence(tmp_path, arguments, sentence):
    with pytest.raises(TidemarkError, match=re.escape(sentence)):
        simulate(tmp_path, start=START, **arguments)
    assert not list(tmp_path.iterdir())


def test_nothing_is_lost_between_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_CHUNK", 500)  # less than a day's events: every day is a chunk
    truth = simulate(tmp_path, start=START, days=12, events=8_000, late_rate=0.2, duplicate_rate=0.2)
    reading = read(tmp_path, truth)
    assert (len(reading.events), reading.lines, reading.duplicates) == (8_000, truth.lines, truth.duplicates)
    late = sum(event["file"] > f"{event['occurred_at']:%Y-%m-%d}" for event in reading.events)
    assert late == truth.late > 1_000
