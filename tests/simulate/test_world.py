"""The behaviour: rhythm, people, prices, stock, sequences, rooms, and everything that was planted."""

import math
import statistics
from collections import Counter, defaultdict
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from orchestration.simulate.simulator import simulate
from tests.simulate.conftest import START, read


def by(events, *names):
    """Events grouped by fields or properties, each group in order of time."""
    groups = defaultdict(list)
    for event in events:
        key = tuple(event[name] if name in event else event["properties"][name] for name in names)
        groups[key if len(names) > 1 else key[0]].append(event)
    return groups


def test_sessions_belong_to_one_person_and_have_no_long_silence(month):
    sessions = by([event for event in month.events if "session_id" in event], "session_id")
    assert 5 < statistics.mean(map(len, sessions.values())) < 20
    for events in sessions.values():
        assert len({event["user_id"] for event in events}) == 1
        silences = [later["occurred_at"] - earlier["occurred_at"] for earlier, later in pairwise(events)]
        assert max(silences, default=timedelta()) < timedelta(minutes=30)


@pytest.mark.parametrize("country, zone", [("DE", "Europe/Berlin"), ("US", "America/New_York"), ("IN", "Asia/Kolkata")])
def test_people_come_in_the_evening_of_their_own_time_zone(month, country, zone):
    pages = [event for event in month.of("page_viewed") if event["properties"]["country"] == country]
    hours = Counter(event["occurred_at"].astimezone(ZoneInfo(zone)).hour for event in pages)
    assert sum(hours[hour] for hour in (18, 19, 20)) > 5 * sum(hours[hour] for hour in (2, 3, 4))


def test_revenue_has_a_week_and_the_crowd_grows(month):
    revenue = defaultdict(list)
    for day in month.truth.days:
        revenue[day.date.weekday() >= 5].append(float(day.revenue))
    assert statistics.mean(revenue[True]) > 1.25 * statistics.mean(revenue[False])
    first_seen = {}
    for event in month.events:
        first_seen.setdefault(event["user_id"], event["occurred_at"])
    newcomers = [moment for moment in first_seen.values() if moment > month.truth.start + timedelta(days=21)]
    assert 0.05 < len(newcomers) / len(first_seen) < 0.4


def test_popularity_is_unequal(month):
    views = Counter(event["properties"]["content_id"] for event in month.of("content_viewed"))
    ranked = [count for _, count in views.most_common()]
    assert sum(ranked[:7]) > 0.25 * sum(ranked)


def test_churners_are_gone_and_others_stay(month):
    last, first = {}, {}
    for event in month.events:
        last[event["user_id"]] = event["occurred_at"]
        first.setdefault(event["user_id"], event["occurred_at"])
    churners = {churner.user_id: churner for churner in month.truth.churners}
    assert len(churners) > 50
    assert {churner.is_gradual for churner in churners.values()} == {True, False}
    for churner in churners.values():
        assert last[churner.user_id] == churner.left_at
    two_weeks_ago = month.truth.end - timedelta(days=14)
    settled = {user for user, moment in first.items() if moment < two_weeks_ago}
    seen_lately = {user for user, moment in last.items() if moment >= two_weeks_ago}
    assert len((settled - churners.keys()) & seen_lately) > 0.93 * len(settled - churners.keys())
    gone = {user for user, churner in churners.items() if churner.left_at < two_weeks_ago}
    assert not gone & seen_lately


def test_gradual_churners_fade_before_they_leave(tmp_path):
    truth = simulate(tmp_path, start=START, days=90, events=60_000, seed=2)
    pages = by(read(tmp_path, truth).of("page_viewed"), "user_id")

    def fading(is_gradual):
        """Visits in the last fortnight but the last day, to those in the fortnight before the last four weeks."""
        late = early = 0
        for churner in truth.churners:
            days = [(churner.left_at - page["occurred_at"]).days for page in pages[churner.user_id]]
            if churner.is_gradual is is_gradual and max(days) >= 42:
                late += sum(1 <= day < 15 for day in days)
                early += sum(28 <= day < 42 for day in days)
        return late / early

    assert fading(is_gradual=True) < 0.7 < fading(is_gradual=False)


def test_struggling_learners_are_exactly_those_named(month):
    scores = {
        user: [event["properties"]["score"] for event in events]
        for user, events in by(month.of("lesson_completed"), "user_id").items()
    }
    assert all(0 <= score <= 100 and isinstance(score, int) for known in scores.values() for score in known)
    struggling = {user for user, known in scores.items() if len(known) >= 3 and max(known[-5:]) < 60}
    assert sorted(struggling) == month.truth.struggling_learners
    always = [user for user in struggling if max(scores[user]) < 60]
    assert len(always) > 10 and len(always) > 0.8 * len(struggling)


def test_practice_raises_scores(month):
    gains = [
        statistics.mean(event["properties"]["score"] for event in events[-3:])
        - statistics.mean(event["properties"]["score"] for event in events[:3])
        for events in by(month.of("lesson_completed"), "user_id", "skill").values()
        if len(events) >= 9
    ]
    assert statistics.mean(gains) > 1.5


def test_rooms_vote_until_all_agree(month):
    votes = by(month.of("vote_cast"), "room_id")
    joined = by(month.of("room_joined"), "room_id")
    host = {event["properties"]["room_id"]: event["user_id"] for event in month.of("room_created")}
    matched = month.of("room_matched")
    assert len(matched) > 50
    for match in matched:
        room = match["properties"]["room_id"]
        members = {host[room]} | {event["user_id"] for event in joined[room]}
        by_item = [votes[room][first : first + len(members)] for first in range(0, len(votes[room]), len(members))]
        assert match["properties"]["votes"] == len(votes[room])
        for turn in by_item:
            assert {event["user_id"] for event in turn} == members
            agreed = all(event["properties"]["is_in_favour"] for event in turn)
            assert agreed == (turn is by_item[-1])
        assert {event["properties"]["content_id"] for event in by_item[-1]} == {match["properties"]["content_id"]}


def test_every_room_ends_matched_or_abandoned(month):
    ended = {event["properties"]["room_id"] for event in month.of("room_completed")}
    abandoned = {event["properties"]["room_id"] for event in month.of("room_abandoned")}
    created = {event["properties"]["room_id"]: event for event in month.of("room_created")}
    assert month.truth.abandoned_rooms == sorted(abandoned)
    assert not ended & abandoned
    assert all(
        created[room]["occurred_at"] > month.truth.end - timedelta(hours=1)
        for room in created.keys() - ended - abandoned
    )


def test_the_funnel_narrows_and_carts_hold_together(month):
    adds = by(month.of("product_added"), "cart_id")
    checkouts = {event["properties"]["cart_id"]: event for event in month.of("checkout_started")}
    orders = month.of("order_completed")
    assert len(month.of("product_viewed")) > len(adds) > len(checkouts) > len(orders) > 500
    assert checkouts.keys() <= adds.keys()
    for order in orders:
        money = {name: Decimal(str(order["properties"][name])) for name in ("total", "shipping", "tax", "discount")}
        lines = order["properties"]["products"]
        goods = sum(Decimal(str(line["price"])) * line["quantity"] for line in lines)
        assert money["total"] == goods - money["discount"] + money["shipping"] + money["tax"]
        checkout = checkouts[order["properties"]["cart_id"]]
        assert Decimal(str(checkout["properties"]["value"])) == goods
        in_cart = {event["properties"]["product_id"] for event in adds[order["properties"]["cart_id"]]}
        assert sorted(in_cart) == sorted(line["product_id"] for line in lines), "each product is one line"
        assert order["occurred_at"] > checkout["occurred_at"] and order["user_id"] == checkout["user_id"]


def test_refunds_follow_their_orders(month):
    orders = {event["properties"]["order_id"]: event for event in month.of("order_completed")}
    refunds = month.of("order_refunded")
    assert 0.01 < len(refunds) / len(orders) < 0.06
    assert len({refund["properties"]["order_id"] for refund in refunds}) == len(refunds)
    for refund in refunds:
        order = orders[refund["properties"]["order_id"]]
        assert refund["occurred_at"] > order["occurred_at"]
        assert refund["properties"]["products"] == order["properties"]["products"]


def test_stock_follows_orders_returns_and_deliveries(month):
    moves = defaultdict(list)
    for event in month.of("order_completed", "order_refunded"):
        sign, reason = (-1, "order") if event["event_type"] == "order_completed" else (1, "returned")
        for line in event["properties"]["products"]:
            moves[line["product_id"], reason].append(sign * line["quantity"])
    oversold = {}
    for product, changes in by(month.of("stock_changed"), "product_id").items():
        assert changes[0]["properties"]["reason"] == "counted"
        steps = defaultdict(list)
        for before, after in pairwise(changes):
            assert before["occurred_at"] < after["occurred_at"]
            step = after["properties"]["quantity"] - before["properties"]["quantity"]
            steps[after["properties"]["reason"]].append(step)
            if after["properties"]["quantity"] < 0:
                oversold.setdefault(product, after["occurred_at"])
        for reason in ("order", "returned"):
            assert Counter(steps[reason]) == Counter(moves[product, reason])
        assert all(step > 0 for step in steps["restocked"])
        assert product in oversold or steps["restocked"]
    assert len(oversold) == 3
    assert {entry.product_id: entry.since for entry in month.truth.oversold_products} == oversold


def test_prices_are_those_in_force(month):
    products = {product.product_id: product for product in month.truth.products}
    announced = by(month.of("price_changed"), "product_id")
    for product in products.values():
        told = [
            (event["occurred_at"], Decimal(str(event["properties"]["price"])))
            for event in announced[product.product_id]
        ]
        assert told == [(price.since, price.price) for price in product.prices[1:]]
        assert product.prices[0].price == product.base_price
        previous = [Decimal(str(event["properties"]["previous_price"])) for event in announced[product.product_id]]
        assert previous == [price.price for price in product.prices[:-1]]
    for event in month.of("product_viewed"):
        in_force = [p for p in products[event["properties"]["product_id"]].prices if p.since <= event["occurred_at"]]
        assert Decimal(str(event["properties"]["price"])) == in_force[-1].price


def test_demand_follows_the_planted_elasticities(tmp_path):
    """Poisson likelihood: of the views at each price, a share a × (price / base) ** e takes the product."""
    truth = simulate(tmp_path, start=START, days=60, events=150_000, seed=5)
    reading = read(tmp_path, truth)
    views, adds = defaultdict(Counter), defaultdict(Counter)
    for event in reading.of("product_viewed", "product_added"):
        counter = views if event["event_type"] == "product_viewed" else adds
        counter[event["properties"]["product_id"]][event["properties"]["price"]] += 1

    def estimate(product):
        ratios = {price: price / float(product.base_price) for price in views[product.product_id]}
        seen, taken = views[product.product_id], adds[product.product_id]

        def likelihood(elasticity):
            expected = {price: seen[price] * ratio**elasticity for price, ratio in ratios.items()}
            appeal = taken.total() / sum(expected.values())
            return sum(taken[price] * math.log(appeal * expected[price]) for price in taken) - taken.total()

        grid = [step / 20 for step in range(-120, 61)]
        best = max(grid, key=likelihood)
        inside = [elasticity for elasticity in grid if likelihood(elasticity) > likelihood(best) - 4.5]  # 3 sigma
        return best, min(inside), max(inside)

    moved = [product for product in truth.products if len(product.prices) > 1]
    estimates = [estimate(product) for product in moved]
    truths = [product.elasticity for product in moved]
    assert len(moved) >= 10
    assert all(low <= truth <= high for truth, (_, low, high) in zip(truths, estimates, strict=True))
    assert statistics.correlation(truths, [best for best, _, _ in estimates]) > 0.6
    assert statistics.mean(best for best, _, _ in estimates) == pytest.approx(statistics.mean(truths), abs=0.3)


def test_sellers_number_their_transactions_without_gaps(month):
    created = {event["properties"]["transaction_id"]: event for event in month.of("transaction_created")}
    assert len(created) == month.truth.events["transaction_created"]
    for events in by(created.values(), "seller_id").values():
        assert [event["properties"]["sequence"] for event in events] == list(range(1, len(events) + 1))
    decided = month.of("transaction_settled", "transaction_failed")
    assert len({event["properties"]["transaction_id"] for event in decided}) == len(decided)
    for event in decided:
        begun = created[event["properties"]["transaction_id"]]
        assert event["occurred_at"] > begun["occurred_at"]
        for name in ("seller_id", "amount", "currency"):
            assert event["properties"][name] == begun["properties"][name]
    settled = {event["properties"]["transaction_id"] for event in month.of("transaction_settled")}
    assert {event["properties"]["transaction_id"] for event in month.of("seller_rated")} <= settled


def test_requests_are_fast_and_rarely_fail_outside_incidents(month):
    calm = [
        event
        for event in month.of("request_served")
        if not within(month.truth, event, "failing_requests", "slow_endpoint")
    ]
    failed = sum(event["properties"]["status"] >= 500 for event in calm)
    assert failed / len(calm) == pytest.approx(0.005, abs=0.002)
    for events in by(calm, "endpoint").values():
        logs = [math.log(event["properties"]["latency_ms"]) for event in events]
        if len(logs) > 200:
            assert statistics.stdev(logs) == pytest.approx(0.45, abs=0.05)
            assert statistics.mean(logs) == pytest.approx(statistics.median(logs), abs=0.1)


def within(truth, event, *kinds):
    return any(
        incident.kind in kinds
        and incident.start <= event["occurred_at"]
        and (incident.end is None or event["occurred_at"] < incident.end)
        for incident in truth.incidents
    )


def test_cohorts_are_those_who_first_came_in_a_week(month):
    told = {"request_served", "price_changed", "competitor_price_observed", "stock_changed", "transaction_settled",
            "transaction_failed", "exchange_rate_published", "experiment_viewed"}  # fmt: skip
    weeks = defaultdict(set)
    for event in month.events:
        if event["event_type"] not in told:
            day = event["occurred_at"].date()
            weeks[event["user_id"]].add(day - timedelta(days=day.weekday()))
    for cohort in month.truth.cohorts:
        people = [came for came in weeks.values() if min(came) == cohort.week]
        assert cohort.users == [
            sum(cohort.week + timedelta(weeks=later) in came for came in people) for later in range(len(cohort.users))
        ]
    assert sum(cohort.users[0] for cohort in month.truth.cohorts) == len(weeks)
    assert len(month.truth.cohorts) == 5


def test_the_purchase_funnel_counts_entries_of_a_person_and_a_day(month):
    steps = ["product_viewed", "product_added", "checkout_started", "order_completed"]
    told = by(month.of(*steps), "user_id")
    reached = [0] * len(steps)
    for events in told.values():
        entries = {}
        for event in events:
            if event["event_type"] == steps[0]:
                entries.setdefault(event["occurred_at"].date(), event["occurred_at"])
        for entry in entries.values():
            at = entry
            for number, step in enumerate(steps):
                times = [event["occurred_at"] for event in events if event["event_type"] == step]
                at = min((time for time in times if at <= time <= entry + timedelta(days=7)), default=None)
                if at is None:
                    break
                reached[number] += 1
    assert month.truth.funnels["purchase"] == reached
    assert reached[0] > reached[1] > reached[2] > reached[3] > 300


def test_who_sees_green_orders_more_often(month):
    first, variants = {}, defaultdict(set)
    for event in month.of("experiment_viewed"):
        first.setdefault(event["user_id"], event)
        variants[event["user_id"]].add(event["properties"]["variant_id"])
    orders = by(month.of("order_completed"), "user_id")
    for variant in month.truth.experiments:
        mine = [user for user, event in first.items() if event["properties"]["variant_id"] == variant.variant]
        spent = {
            user: [
                Decimal(str(order["properties"]["total"]))
                for order in orders[user]
                if timedelta() <= order["occurred_at"] - first[user]["occurred_at"] < timedelta(days=7)
            ]
            for user in mine
        }
        assert variant.users == len(mine)
        assert variant.mixed_users == sum(len(variants[user]) > 1 for user in mine)
        assert variant.converted_users == sum(bool(totals) for totals in spent.values())
        assert variant.value == sum(sum(totals) for totals in spent.values())
    control, green = month.truth.experiments
    assert green.converted_users / green.users > 1.1 * control.converted_users / control.users


def test_planted_incidents_are_visible(month, hourly):
    """Each moves its metric away from what the same hours of the other days have."""
    incidents = {incident.kind: incident for incident in month.truth.incidents if incident.end}
    assert len(incidents) == 5

    def effect(kind, accepts):
        incident, counts = incidents[kind], hourly(accepts)
        inside = [count for hour, count in counts.items() if incident.start <= hour < incident.end]
        usual = [
            count
            for hour, count in counts.items()
            if incident.start.hour <= hour.hour < incident.end.hour and not incident.start <= hour < incident.end
        ]
        return statistics.mean(inside) / statistics.mean(usual)

    def is_of(event_type):
        return lambda event: event["event_type"] == event_type

    assert effect("checkout_outage", is_of("order_completed")) == 0
    assert effect("checkout_outage", is_of("checkout_started")) > 0.5, "people still try"
    assert effect("login_outage", is_of("page_viewed")) < 0.25
    assert effect("viral_content", lambda event: event["properties"].get("category") == "science") > 4
    assert effect("viral_content", is_of("order_completed")) < 2
    assert effect("failing_requests", lambda event: event["properties"].get("status", 0) >= 500) > 15
    slow = by(month.of("request_served"), "endpoint")["/api/products"]
    latencies = defaultdict(list)
    for event in slow:
        latencies[within(month.truth, event, "slow_endpoint")].append(event["properties"]["latency_ms"])
    assert statistics.median(latencies[True]) == pytest.approx(12 * statistics.median(latencies[False]), rel=0.3)


def test_the_last_incident_is_open_when_the_files_end(month):
    last = month.truth.incidents[-1]
    assert last.end is None and timedelta() < month.truth.end - last.start < timedelta(hours=12)
    requests = [event for event in month.of("request_served") if event["occurred_at"] >= last.start]
    assert sum(event["properties"]["status"] >= 500 for event in requests) / len(requests) > 0.25


def test_without_incidents_nothing_is_planted(tmp_path):
    truth = simulate(tmp_path, start=START, days=14, events=20_000, incidents=False)
    requests = read(tmp_path, truth).of("request_served")
    assert truth.incidents == []
    assert sum(event["properties"]["status"] >= 500 for event in requests) / len(requests) < 0.01
