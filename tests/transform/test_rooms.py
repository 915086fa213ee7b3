"""Rooms, with numbers computed by hand: silence, what becomes of a match, preference, influence."""

from datetime import timedelta
from decimal import Decimal

from tests.transform.events import load
from tests.transform.test_learning import clock, days_ago, event


def votes(room: str, user: str, in_favour: int, against: int, first: int) -> list[dict]:
    """Votes of a person on items of the category x, a minute apart, from so many minutes before NOON's yesterday."""
    return [
        event(
            user, days_ago(1) + timedelta(minutes=first + n), "vote_cast",
            room_id=room, content_id=f"c{first + n}", category="x", is_in_favour=n < in_favour,
        )
        for n in range(in_favour + against)
    ]  # fmt: skip


MATCHED = days_ago(6)
EVENTS = [
    *clock(),
    event("h", days_ago(2), "room_created", room_id="silent", category="x"),
    event("h", days_ago(0), "room_created", room_id="new", category="x"),
    *(event(user, MATCHED - timedelta(minutes=5), "room_joined", room_id="matched") for user in "uvw"),
    event("u", MATCHED, "room_matched", room_id="matched", content_id="c", category="x"),
    event("u", MATCHED + timedelta(minutes=30), "room_completed", room_id="matched"),
    event("u", MATCHED + timedelta(minutes=20), "content_completed", content_id="c", category="x"),
    event("v", MATCHED + timedelta(days=2), "content_viewed", content_id="c", category="x"),
    event("w", MATCHED - timedelta(minutes=1), "content_viewed", content_id="c", category="x"),
    event("h", days_ago(0) + timedelta(minutes=1), "room_completed", room_id="new", duration_seconds=-60),  # held
    event("z", days_ago(3), "room_created", room_id="early"),
    event("y", days_ago(3) + timedelta(minutes=5), "room_joined", room_id="early"),
    event("z", days_ago(3) + timedelta(minutes=5), "room_started", room_id="early"),
    event("q", days_ago(3) + timedelta(minutes=7), "room_joined", room_id="early"),  # later than its opening
    event("o", days_ago(4), "room_created", room_id="odd", category="x"),
    event("o", days_ago(4) - timedelta(hours=1), "room_completed", room_id="odd"),
    *votes("new", "u", 3, 0, 0),
    *votes("new", "v", 1, 6, 10),
]


def test_what_is_told_of_rooms_and_their_people(dbt, connection):
    def ask(query: str) -> list[tuple]:
        return [tuple(row) for row in connection.execute(query).fetchall()]

    dbt.build("staging marts published", load(connection, EVENTS))
    rooms = ask("select room_id, state, reason, members, total_seconds, match_quality from api.rooms order by 1")
    # u completed what they matched on (1), v used it (1/2), w had seen it before and did not come back (0)
    assert rooms == [
        ("early", "abandoned", "silent", 3, None, None),
        ("matched", "completed", None, 3, 2100, Decimal("0.5")),
        ("new", "created", None, 3, None, None),
        ("odd", "completed", None, 1, None, None),
        ("silent", "abandoned", "silent", 1, None, None),
    ]
    # Six minutes after its creation, q had not come: z and y, a minute after y's coming and the start.
    opening = "select members, seconds_since_joined, seconds_since_started, votes, is_decided, cutoff_at"
    assert ask(f"{opening} from marts.room_openings where room_id = 'early'") == [
        (2, 60, 60, 0, False, days_ago(3) + timedelta(minutes=6))
    ]
    assert ask("select relation, reason, records from api.held_values order by 1") == [
        ("rooms", "ends or goes on before it starts", 1),
        ("stg_room_events", "ends before it starts", 1),
    ]
    # Of ten votes on x four are in favour, and so (4 + 4) / 20 is what is expected; u: (3 + 4) / 13, v: (1 + 4) / 17.
    preferences = ask(
        "select name, preference from api.preferences where scope in ('all', 'user') and judgements > 0 order by 1"
    )
    assert [(name, round(value, 6)) for name, value in preferences] == [
        ("all", Decimal("0.400000")), ("u", Decimal("0.538462")), ("v", Decimal("0.294118")),
    ]  # fmt: skip
    users = {
        row[0]: row[1:]
        for row in ask("select user_id, rooms, rooms_hosted, main_role, rooms_a_week from api.room_users")
    }
    assert users["h"] == (2, 2, "host", Decimal("0.5"))
    assert users["u"] == (2, 0, "guest", Decimal("0.5"))
    assert users["w"] == (1, 0, "watcher", Decimal("0.25"))
    # A use that is told late changes what became of the match, though nothing was told of the room.
    late = event("w", MATCHED + timedelta(days=3), "content_completed", content_id="c", category="x")
    dbt.build("staging marts published", load(connection, [late]))
    assert round(ask("select match_quality from api.rooms where room_id = 'matched'")[0][0], 6) == Decimal("0.833333")
