"""Pages, searches and content: what people look at in a visit."""

import numpy as np

from orchestration.simulate.period import SECOND
from orchestration.simulate.sessions import Sessions
from orchestration.simulate.table import Numbered, Table, Text, chosen, running, spread
from orchestration.simulate.world import CATEGORIES, COUNTRIES, World

_KINDS = ["video", "article", "podcast", "quiz"]
_PAGES = ["/", "/learn", "/discover", "/rooms", "/shop", "/market"]
_PAGE_TITLES = ["Home", "Learn", "Discover", "Rooms", "Shop", "Market"]
_QUERIES = ["black holes", "irregular verbs", "jazz chords", "loops", "watercolour", "cash flow", "birds", "silk road",
            "quantum cooking", "underwater law"]  # fmt: skip
_UNANSWERED = 8  # queries from here on find nothing


def pages(rng: np.random.Generator, world: World, sessions: Sessions) -> list[Table]:
    """Every visit begins with a page."""
    page = chosen(rng, np.array([5, 2, 2, 1, 2, 1]), len(sessions))
    viewed = Table(
        "page_viewed",
        sessions.start,
        sessions.user,
        np.arange(len(sessions)),
        {
            "path": Text(page, _PAGES),
            "title": Text(page, _PAGE_TITLES),
            "country": Text(world.people.country[sessions.user], COUNTRIES),
        },
    )
    sessions.clock += rng.integers(2 * SECOND, 20 * SECOND, len(sessions))
    return [viewed]


def content(rng: np.random.Generator, world: World, sessions: Sessions, visits: np.ndarray) -> list[Table]:
    """In these visits: now and then a search, then items viewed, some of them started, completed and rated."""
    searched = _searches(rng, sessions, visits)
    items = world.content
    viral = sessions.is_viral[visits]
    visit, _ = spread(1 + rng.poisson(np.where(viral, 2.0, 1.3)).clip(max=5))
    session, is_viral = visits[visit], viral[visit]
    user = sessions.user[session]
    item = np.where(is_viral, items.viral, _picked(rng, world, user))
    count = len(item)
    is_started = rng.random(count) < 0.55
    is_completed = is_started & (rng.random(count) < 0.25 + 0.6 * items.quality[item])
    is_rated = is_completed & (rng.random(count) < 0.3)

    look = rng.integers(4 * SECOND, 40 * SECOND, count)
    seconds = np.rint(items.seconds[item] * rng.uniform(0.85, 1.1, count)).astype(np.int64)
    watching = np.where(is_completed, seconds * SECOND, np.where(is_started, look, 0))
    busy = look + watching + 5 * SECOND
    until = sessions.clock[session] + running(busy, visit)
    viewed_at = until - busy
    started_at = viewed_at + look
    completed_at = started_at + watching
    sessions.clock[visits] = until[np.flatnonzero(np.diff(visit, append=-1))]

    def table(event_type: str, times: np.ndarray, rows: np.ndarray, **more) -> Table:
        properties = {
            "content_id": Numbered("content-", item[rows] + 1, 4),
            "category": Text(items.category[item[rows]], CATEGORIES),
        }
        return Table(event_type, times[rows], user[rows], session[rows], properties | more)

    everything = np.arange(count)
    begun, done, rated = (np.flatnonzero(flag) for flag in (is_started, is_completed, is_rated))
    opinion = np.rint(1.5 + 3.5 * items.quality[item[rated]] + rng.normal(0, 0.7, len(rated))).clip(1, 5)
    return [
        searched,
        table(
            "content_viewed",
            viewed_at,
            everything,
            content_type=Text(items.kind[item], _KINDS),
            title=Text(item, items.titles),
        ),
        table("content_started", started_at, begun),
        table("content_completed", completed_at, done, duration_seconds=seconds[done]),
        table("content_rated", completed_at + 3 * SECOND, rated, rating=opinion.astype(np.int64)),
    ]


def _searches(rng: np.random.Generator, sessions: Sessions, visits: np.ndarray) -> Table:
    searching = visits[(rng.random(len(visits)) < 0.25) & ~sessions.is_viral[visits]]
    query = rng.integers(0, len(_QUERIES), len(searching))
    found = np.where(query < _UNANSWERED, rng.poisson(9, len(searching)) + 1, 0)
    at = sessions.clock[searching]
    sessions.clock[searching] += rng.integers(3 * SECOND, 20 * SECOND, len(searching))
    return Table(
        "content_searched",
        at,
        sessions.user[searching],
        searching,
        {"query": Text(query, _QUERIES), "results_count": found},
    )


def _picked(rng: np.random.Generator, world: World, users: np.ndarray) -> np.ndarray:
    """Half of the items come from the favourite category, by popularity; the others from all."""
    items = world.content
    picked = chosen(rng, items.popularity, len(users))
    by_taste = rng.random(len(users)) < 0.5
    for code in range(len(CATEGORIES)):
        rows = np.flatnonzero(by_taste & (world.people.taste[users] == code))
        offered = np.flatnonzero(items.category == code)
        picked[rows] = offered[chosen(rng, items.popularity[offered], len(rows))]
    return picked
