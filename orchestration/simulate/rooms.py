"""Rooms: a host invites others, they vote on one item after the other until all are in favour, or give up."""

import numpy as np

from orchestration.simulate.period import MINUTE, SECOND
from orchestration.simulate.sessions import Sessions
from orchestration.simulate.table import Numbered, Table, Text, chosen
from orchestration.simulate.world import CATEGORIES, World

_REASONS = ["nobody_joined", "no_agreement"]
_SEATS, _ROUNDS = 6, 8
_ROUND = 40 * SECOND


def rooms(rng: np.random.Generator, world: World, sessions: Sessions, visits: np.ndarray) -> list[Table]:
    """One room is created in each of these visits. Its members' visits are added to the sessions."""
    people, count = world.people, len(visits)
    host, opened_at = sessions.user[visits], sessions.start[visits] + rng.integers(5 * SECOND, MINUTE, count)
    category = people.taste[host]
    number = np.arange(count) + 1

    guest = rng.integers(0, len(people), (count, _SEATS - 1), dtype=np.int32)
    joined_at = opened_at[:, None] + rng.integers(10 * SECOND, 5 * MINUTE, guest.shape)
    is_here = (rng.random(guest.shape) < rng.beta(1.2, 1.2, count)[:, None]) & (guest != host[:, None])
    is_here &= people.is_present(guest, joined_at + 30 * MINUTE) & people.is_present(guest, joined_at)
    is_here &= ~np.tril(guest[:, :, None] == guest[:, None, :], -1).any(axis=2)  # nobody sits twice
    room, seat = np.nonzero(is_here)
    visit = np.full((count, _SEATS), -1, dtype=np.int64)
    visit[:, 0] = visits
    visit[room, seat + 1] = sessions.join(joined_at[room, seat] - 3 * SECOND, guest[room, seat])
    member = np.column_stack([host, guest])
    seated = visit >= 0
    members = seated.sum(axis=1)

    started_at = opened_at + 5 * MINUTE + SECOND
    harmony = rng.beta(9, 2, count)  # the chance that a member is in favour of an item
    item = _offered(rng, world, category)
    in_favour = rng.random((count, _ROUNDS, _SEATS)) < harmony[:, None, None]
    agreed = (in_favour | ~seated[:, None, :]).all(axis=2)
    rounds = np.where(agreed.any(axis=1), agreed.argmax(axis=1), _ROUNDS - 1)
    has_started = members >= 2
    is_matched = has_started & agreed.any(axis=1)
    decided_at = started_at + (rounds + 1) * _ROUND
    watched = rng.integers(5 * 60, 25 * 60, count)
    ends_at = np.where(
        is_matched, decided_at + watched * SECOND, np.where(has_started, decided_at, started_at) + MINUTE
    )
    sessions.clock[visits] = ends_at + SECOND

    def table(event_type: str, times: np.ndarray, flag: np.ndarray, **more) -> Table:
        rows = np.flatnonzero(flag)
        properties = {"room_id": Numbered("room-", number[rows], 6)} | {key: make(rows) for key, make in more.items()}
        return Table(event_type, times[rows], host[rows], visits[rows], properties)

    final = item[np.arange(count), rounds]
    topic = {"category": lambda rows: Text(category[rows], CATEGORIES)}
    content = {"content_id": lambda rows: Numbered("content-", final[rows] + 1, 4)}
    votes = members * (rounds + 1)
    return [
        table("room_created", opened_at, np.ones(count, dtype=bool), **topic),
        Table(
            "room_joined",
            joined_at[room, seat],
            guest[room, seat],
            visit[room, seat + 1],
            {"room_id": Numbered("room-", number[room], 6)},
        ),
        table("room_started", started_at, has_started, members=lambda rows: members[rows]),
        _votes(rng, started_at, rounds, has_started, member, visit, item, category, in_favour),
        table(
            "room_matched",
            decided_at,
            is_matched,
            **content,
            **topic,
            votes=lambda rows: votes[rows],
            seconds_to_match=lambda rows: (rounds[rows] + 1) * (_ROUND // SECOND),
        ),
        table(
            "room_completed", ends_at, is_matched, duration_seconds=lambda rows: (ends_at - opened_at)[rows] // SECOND
        ),
        table(
            "room_abandoned", ends_at, ~is_matched, reason=lambda rows: Text(has_started[rows].astype(int), _REASONS)
        ),
    ]


def _votes(rng, started_at, rounds, has_started, member, visit, item, category, in_favour) -> Table:
    """Every member votes in every round up to the one that decides."""
    shape = in_favour.shape
    is_cast = (np.arange(_ROUNDS)[None, :, None] <= rounds[:, None, None]) & (visit >= 0)[:, None, :]
    is_cast = is_cast & has_started[:, None, None]
    room, turn, seat = np.nonzero(np.broadcast_to(is_cast, shape))
    return Table(
        "vote_cast",
        started_at[room] + turn * _ROUND + rng.integers(2 * SECOND, _ROUND, len(room)),
        member[room, seat],
        visit[room, seat],
        {
            "room_id": Numbered("room-", room + 1, 6),
            "content_id": Numbered("content-", item[room, turn] + 1, 4),
            "category": Text(category[room], CATEGORIES),
            "is_in_favour": in_favour[room, turn, seat],
        },
    )


def _offered(rng: np.random.Generator, world: World, category: np.ndarray) -> np.ndarray:
    """The item put to the vote in each round, of the room's category."""
    item = np.empty((len(category), _ROUNDS), dtype=np.int64)
    for code in range(len(CATEGORIES)):
        rows = np.flatnonzero(category == code)
        offered = np.flatnonzero(world.content.category == code)
        picked = chosen(rng, world.content.popularity[offered], len(rows) * _ROUNDS)
        item[rows] = offered[picked].reshape(-1, _ROUNDS)
    return item
