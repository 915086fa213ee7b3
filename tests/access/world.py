"""Two weeks of a few people, and who of them stands behind which figures, counted from the events themselves."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

FIRST = date(2026, 3, 2)  # a Monday
DAYS = 14
PEOPLE = [f"u{number:02}" for number in range(1, 13)]
CLASSES = {"k1": PEOPLE[:6], "k2": PEOPLE[4:10]}
SELLERS = ["s1", "s2", "s3"]
ROOMS = {"r1": "u01", "r2": "u07"}
THIN_DAY = FIRST + timedelta(days=4)  # three people only
DOLLAR_DAY = FIRST + timedelta(days=2)  # on which one of them pays in dollars


def _events() -> list[dict]:
    events = []

    def add(user: str, day: date, hour: int, kind: str, **properties) -> None:
        at = datetime(day.year, day.month, day.day, hour, len(events) % 60, tzinfo=UTC)
        events.append(
            {
                "event_id": f"e{len(events)}", "event_type": kind, "occurred_at": at, "user_id": user,
                "properties": properties,
            }
        )  # fmt: skip

    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        present = PEOPLE[:3] if day == THIN_DAY else PEOPLE
        for place, user in enumerate(present):
            add(user, day, 9, "page_viewed", path="/")
            if user in CLASSES["k1"] + CLASSES["k2"]:
                klass = "k1" if user in CLASSES["k1"] and (user not in CLASSES["k2"] or number % 2) else "k2"
                skill = "rare" if user == "u02" and number % 7 == 1 else "a"
                add(user, day, 10, "lesson_completed", skill=skill, score=50 + 3 * place + number % 5,
                    duration_seconds=600, class_id=klass)  # fmt: skip
            currency = "USD" if day == DOLLAR_DAY and user == "u03" else "EUR"
            add(user, day, 11, "order_completed", order_id=f"o{number}-{user}", currency=currency,
                products=[{"product_id": "p", "quantity": 1, "price": 10 + place}])  # fmt: skip
            seller = SELLERS[place % 3]
            add(user, day, 12, "transaction_created", transaction_id=f"t{number}-{user}", seller_id=seller,
                amount=100 + place, currency="EUR", sequence=number * 20 + place)  # fmt: skip
            add(user, day, 13, "request_served", endpoint="/a", status=200, latency_ms=place + 1)
        add("u05" if day != THIN_DAY else "u01", day, 22, "page_viewed", path="/night")  # alone at night
    for room, host in ROOMS.items():
        add(host, FIRST, 14, "room_created", room_id=room, category="film")
        for user in PEOPLE[:4] if room == "r1" else PEOPLE[6:11]:
            add(user, FIRST, 15, "room_joined", room_id=room)
            add(user, FIRST, 15, "vote_cast", room_id=room, content_id="c1", category="film", is_in_favour=True)
    add("clock", FIRST + timedelta(days=DAYS + 1), 3, "page_viewed", path="/")
    return events


EVENTS = _events()

SYSTEM_OF = {
    "events": "engagement", "active_users": "engagement", "lessons_completed": "learning", "average_score": "learning",
    "orders": "shop", "revenue": "shop", "transactions": "marketplace", "transaction_volume": "marketplace",
    "votes_cast": "rooms", "requests": "system", "error_rate": "system",
}  # fmt: skip


def _behind(metric: str, dimension: str, event: dict) -> str | None:
    """The segment of a figure to which an event adds, or None."""
    kind, told = event["event_type"], event["properties"]
    match metric:
        case "events" | "active_users":
            return "all" if dimension == "all" else None
        case "lessons_completed" | "average_score":
            wanted, by = "lesson_completed", "skill"
        case "orders" | "revenue":
            wanted, by = "order_completed", "currency"
            if dimension == "all" and told.get("currency") != "EUR":
                return None  # money over all is what is in the tenant's currency
        case "transactions" | "transaction_volume":
            wanted, by = "transaction_created", "currency"
        case "votes_cast":
            wanted, by = "vote_cast", "category"
    if kind != wanted or dimension not in ("all", by):
        return None
    return "all" if dimension == "all" else told[by]


def people(metric: str, dimension: str) -> dict[date, dict[tuple, set[str]]]:
    """By day, the people behind each segment of a dimension, and behind each (segment, hour) of it."""
    found: dict[date, dict[tuple, set[str]]] = defaultdict(lambda: defaultdict(set))
    for event in EVENTS:
        segment = _behind(metric, dimension, event)
        if segment is not None:
            at = event["occurred_at"]
            found[at.date()][(segment,)].add(event["user_id"])
            found[at.date()][segment, at.hour].add(event["user_id"])
    return found


def is_open(metric: str, dimension: str, days: list[date], *, hours: bool = False) -> bool:
    """Whether each part of the days' figures is that of at least five people; False where nothing happened."""
    behind = people(metric, dimension)
    counts = [
        len(who) for day in days for cell, who in behind.get(day, {}).items() if hours or len(cell) == 1
    ]  # fmt: skip
    return bool(counts) and min(counts) >= 5
