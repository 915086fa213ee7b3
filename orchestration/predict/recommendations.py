"""Recommends content, lessons and products: to people, to open rooms by their members, to sellers by their buyers."""

from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import psycopg

from orchestration.predict import artefacts, registry
from orchestration.predict.inputs import SQL
from orchestration.predict.made import Challenger, Lesson, Made
from orchestration.predict.registry import Metrics

if TYPE_CHECKING:
    import pandas as pd

    from ml.recommend import Recommender

KINDS = ("content", "lessons", "products")
LEAST_INTERACTIONS = 500
COLUMNS = ("kind", "subject_id", "user_id", "place", "item_id", "category", "score", "source", "because", "reason")
SEEN = {"content": "saw", "lessons": "did", "products": "ordered"}


class Interactions(NamedTuple):
    """Who had what (user_id, item_id, weight, at), and what is to be had (item_id, category)."""

    kind: str
    frame: "pd.DataFrame"
    items: "pd.DataFrame"


def model_name(kind: str) -> str:
    return f"recommend_{kind}"


def read(connection: psycopg.Connection, kind: str) -> Interactions:
    """Up to the newest complete day."""
    import pandas as pd

    frame = _frame(connection, f"interactions_{kind}", ["user_id", "item_id", "weight", "at"])
    frame = frame.assign(at=pd.to_datetime(frame["at"], utc=True), weight=frame["weight"].astype(float))
    return Interactions(kind, frame, _frame(connection, f"items_{kind}", ["item_id", "category"]))


def lesson(connection: psycopg.Connection, kind: str) -> Lesson:
    known, name = read(connection, kind), model_name(kind)
    if len(known.frame) < LEAST_INTERACTIONS:
        reason = f"There are {len(known.frame)} interactions with {kind}: a test needs {LEAST_INTERACTIONS}."
        return Lesson(name, reason=reason)
    from ml import recommend

    parameters = {"count": recommend.COUNT, "seed": recommend.SEED}
    return Lesson(name, partial(learn, known), _hash(known), parameters)


def learn(known: Interactions, before: bytes | None) -> Challenger | str:
    """Tune, and test by time, beside popularity and the model in service; or say why that cannot be done."""
    from ml import recommend

    frame = known.frame
    try:
        scored, against = recommend.evaluate(
            frame, frame["at"].quantile(0.8), known.items, before and artefacts.load_recommender(before)
        )
    except ValueError as error:
        return str(error)
    metrics = Metrics(
        measure="NDCG@10",
        better="higher",
        value=scored["ndcg"],
        baseline=scored["ndcg_popularity"],
        baseline_name="what most people had",
        tested_on=f"{scored['n']} people in the last fifth of the time",
        also={measure: scored[measure] for measure in ("ndcg_recent", "ndcg_ease", "coverage")},
    )
    model = recommend.fit(frame, recommend.tune(frame, recommend.SETTINGS, known.items))
    return Challenger(artefacts.dump_recommender(model), metrics, against)


def predict(connection: psycopg.Connection) -> list[Made]:
    """What each person active of late, each open room and each seller is recommended."""
    from ml import recommend

    people = [user for (user,) in connection.execute((SQL / "subjects.sql").read_text())]
    found = []
    for kind in KINDS:
        known = read(connection, kind)
        if known.frame.empty:
            found.append(Made(kind, reason=f"Nobody had any {kind} yet."))
            continue
        model = registry.in_service(connection, model_name(kind))
        learned = artefacts.load_recommender(registry.load_artefact(model)) if model else recommend.popular(known.frame)
        had = known.frame.rename(columns={"user_id": "subject_id"})[["subject_id", "item_id", "weight"]]
        rows = _rows(kind, learned, people, had, had[["subject_id", "item_id"]], known, people)
        if kind == "content":
            rows += _rooms(connection, learned, known)
        if kind == "products":
            rows += _sellers(connection, learned, known)
        found.append(Made(kind, model.model_id if model else None, tuple(rows)))
    return found


def _rooms(connection: psycopg.Connection, learned: "Recommender", known: Interactions) -> list[tuple]:
    """Content to vote on: what the members together are likely to want, of the room's category, not voted on yet."""
    members = _frame(connection, "rooms", ["subject_id", "user_id", "category"])
    rooms = sorted(set(members["subject_id"]))
    voted = _frame(connection, "room_votes", ["subject_id", "item_id"], {"rooms": rooms})
    rows = []
    for category, own in members.groupby(members["category"].fillna(""), sort=True):
        named = known.items if category == "" else known.items[known.items["category"] == category]
        had = own.merge(known.frame, on="user_id")[["subject_id", "item_id", "weight"]]
        subjects = sorted(set(own["subject_id"]))
        rows += _rows("room_content", learned, subjects, had, voted, known._replace(items=named))
    return rows


def _sellers(connection: psycopg.Connection, learned: "Recommender", known: Interactions) -> list[tuple]:
    """Products that a seller's buyers are likely to want; what they have already bought from the shop counts, too."""
    buyers = _frame(connection, "sellers", ["subject_id", "user_id"])
    sellers = sorted(set(buyers["subject_id"]))
    had = buyers.merge(known.frame, on="user_id")[["subject_id", "item_id", "weight"]]
    return _rows("seller_products", learned, sellers, had, had[["subject_id", "item_id"]].head(0), known, sellers)


def _rows(
    kind: str,
    learned: "Recommender",
    subjects: Sequence[str],
    had: "pd.DataFrame",
    excluded: "pd.DataFrame",
    known: Interactions,
    persons: Sequence[str] = (),
) -> list[tuple]:
    """Rows of COLUMNS. `persons` are the subjects who are people."""
    from ml import recommend

    told = recommend.recommend(learned, subjects, had, excluded, known.items)
    category = dict(zip(known.items["item_id"], known.items["category"], strict=True))
    people = dict(zip(learned.items, learned.people, strict=True))
    whose = set(persons)
    rows = []
    for one in told.itertuples(index=False):
        because = None if one.source == "popular" else one.because
        reason = _reason(kind, known.kind, one.source, because, int(people[one.item_id]))
        user = one.subject_id if one.subject_id in whose else None
        told_of = (one.item_id, category[one.item_id], one.score, one.source, because, reason)
        rows.append((kind, one.subject_id, user, one.place, *told_of))
    return rows


def _reason(kind: str, items: str, source: str, because: str | None, people: int) -> str:
    verb = SEEN[items]
    if source == "popular":
        return f"Popular of late: {people:,} people {verb} it."
    whose = {"room_content": "its members", "seller_products": "its buyers"}.get(kind)
    start = f"Because {whose} {verb} {because}" if whose else f"Because of {because}"
    few = f"; only {people:,} know it yet" if source == "discovery" else ""
    return f"{start}: people who {verb} that also {verb} this{few}."


def _frame(connection: psycopg.Connection, query: str, columns: list[str], values: dict | None = None):
    import pandas as pd

    return pd.DataFrame(connection.execute((SQL / f"{query}.sql").read_text(), values).fetchall(), columns=columns)


def _hash(known: Interactions) -> str:
    import pandas as pd

    parts = [
        pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes() for frame in (known.frame, known.items)
    ]
    return sha256(b"".join(parts)).hexdigest()
