"""What people are likely to want next, with a reason for each. Who is asked about, and what is to be had, is told.

EASE (Steck 2019) up to MOST_ITEMS items, `implicit`'s alternating least squares beyond; what is popular of late joins
in, and stands alone for those of whom nothing is known.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy import sparse

from ml.promotion import LEAST_BLOCKS, Comparison, compare_paired

MOST_ITEMS = 20_000  # of EASE: its square in memory, 1.6 GB
NEIGHBOURS = 200  # weights kept for each item, the largest
FACTORS, ROUNDS = 64, 15  # of ALS
COUNT = 10
DISCOVERIES = 2  # of the places: the last, for what few know
SEED = 1
LEAST_PEOPLE = 5  # who had an item, before it is called known
_BLOCK = 1_000

Source = Literal["similar", "discovery", "popular"]
COLUMNS = ["subject_id", "place", "item_id", "score", "source", "because"]


@dataclass(frozen=True)
class Setting:
    """How a recommender learns. Chosen by `tune`.

    regularisation    of EASE, in weights; of ALS, too
    half_life_days    after which an interaction counts half; none: all count alike
    popularity        the weight of what is popular beside what is similar, both in standard deviations
    """

    regularisation: float = 100.0
    half_life_days: float | None = 1000.0
    popularity: float = 0.1


SETTINGS = Setting(popularity=0.1), Setting(popularity=0.0)
PLAIN = tuple(Setting(regularisation, None, 0.0) for regularisation in (50.0, 200.0, 1000.0))
_POPULAR_DAYS = 365.0  # the half-life of popularity where the setting has none


@dataclass(frozen=True)
class Recommender:
    """What was learned. `items` are sorted; `popularity` is recent weight by item.

    One of two is there: `similar`, sparse, in row i and column j what having i says for j (EASE); or `factors`, a row
    an item (ALS).
    """

    setting: Setting
    items: np.ndarray
    popularity: np.ndarray
    people: np.ndarray  # who had it, by item
    similar: sparse.csc_array | None
    factors: np.ndarray | None


def fit(interactions: pd.DataFrame, setting: Setting) -> Recommender:
    """Learn from who had what: user_id, item_id, weight (above 0), at (a time).

    Of several rows for the same person and item the weights add up. Raises ValueError when there are none.
    """
    if interactions.empty:
        raise ValueError("There are no interactions to learn from.")
    user, _ = pd.factorize(interactions["user_id"], sort=True)
    item, items = pd.factorize(interactions["item_id"], sort=True)
    age = (interactions["at"].max() - interactions["at"]).dt.total_seconds().to_numpy() / 86400
    weight = interactions["weight"].to_numpy(float)
    recent = weight * 0.5 ** (age / (setting.half_life_days or _POPULAR_DAYS))
    matrix = sparse.csr_array((weight, (user, item)), shape=(user.max() + 1, len(items)))  # duplicates add up
    if setting.half_life_days is not None:  # by person: how long ago they were last seen
        newest = np.full(matrix.shape[0], np.inf)
        np.minimum.at(newest, user, age)
        matrix = sparse.csr_array(matrix.multiply(np.sqrt(0.5 ** (newest / setting.half_life_days))[:, None]))
    popularity = np.bincount(item, recent, len(items))
    people = np.bincount(sparse.coo_array(matrix).coords[1], minlength=len(items))
    known = setting, np.asarray(items, dtype=str), popularity, people
    if len(items) <= MOST_ITEMS:
        return Recommender(*known, _ease(matrix.astype(np.float32), setting.regularisation), None)
    return Recommender(*known, None, _als(matrix.astype(np.float32), setting.regularisation))


def popular(interactions: pd.DataFrame) -> Recommender:
    """What is popular of late, for everybody: where nothing better is known. `interactions` as for `fit`."""
    if interactions.empty:
        raise ValueError("There are no interactions to learn from.")
    item, items = pd.factorize(interactions["item_id"], sort=True)
    age = (interactions["at"].max() - interactions["at"]).dt.total_seconds().to_numpy() / 86400
    recent = np.bincount(item, interactions["weight"].to_numpy(float) * 0.5 ** (age / _POPULAR_DAYS), len(items))
    people = interactions.groupby(item)["user_id"].nunique().to_numpy()
    nothing = sparse.csc_array((len(items), len(items)), dtype=np.float32)
    return Recommender(Setting(popularity=1.0), np.asarray(items, dtype=str), recent, people, nothing, None)


def _ease(matrix: sparse.csr_array, regularisation: float) -> sparse.csc_array:
    """B = I − P / diag(P) with P = (XᵀX + λI)⁻¹, its diagonal zero, of each column the NEIGHBOURS largest weights.

    With fewer people than items, the inverse is taken on their side: P = (I − Xᵀ (XXᵀ + λI)⁻¹ X) / λ.
    """
    people, items = matrix.shape
    if people < items:
        dense = matrix.toarray()
        gram = np.asfortranarray(dense @ dense.T)
        gram[np.diag_indices(people)] += regularisation
        half = _inverse(gram) @ dense
        diagonal = (1 - (dense * half).sum(axis=0)) / regularisation

        def columns(begin: int) -> np.ndarray:
            return -(dense.T @ half[:, begin : begin + _BLOCK]) / regularisation
    else:
        inverse = np.empty((items, items), dtype=np.float32, order="F")
        for begin in range(0, items, _BLOCK):
            inverse[:, begin : begin + _BLOCK] = (matrix.T @ matrix[:, begin : begin + _BLOCK]).toarray()
        inverse[np.diag_indices(items)] += regularisation
        inverse = _inverse(inverse)
        diagonal = inverse.diagonal().copy()

        def columns(begin: int) -> np.ndarray:
            return inverse[:, begin : begin + _BLOCK].copy()

    blocks = []
    for begin in range(0, items, _BLOCK):
        block = columns(begin)
        width = block.shape[1]
        block /= -diagonal[None, begin : begin + width]
        block[np.arange(begin, begin + width), np.arange(width)] = 0.0
        blocks.append(_strongest(block))
    return sparse.csc_array(sparse.hstack(blocks))


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Of a positive definite matrix in column order and single precision, in its own memory."""
    from scipy.linalg.lapack import spotrf, spotri

    factor, failed = spotrf(matrix, lower=1, overwrite_a=1, clean=1)
    if failed:
        raise ValueError("The items are too alike to be told apart: ask for more regularisation.")
    inverse, _ = spotri(factor, lower=1, overwrite_c=1)
    for begin in range(0, len(inverse), _BLOCK):  # the upper triangle mirrors the lower
        end = begin + _BLOCK
        inverse[begin:end, end:] = inverse[end:, begin:end].T
        corner = inverse[begin:end, begin:end]
        corner += np.tril(corner, -1).T
    return inverse


def _strongest(block: np.ndarray) -> sparse.csc_array:
    if len(block) > NEIGHBOURS:
        least = np.partition(np.abs(block), -NEIGHBOURS, axis=0)[-NEIGHBOURS]
        block[np.abs(block) < least] = 0.0
    return sparse.csc_array(block)


def _als(matrix: sparse.csr_array, regularisation: float) -> np.ndarray:
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):  # its own threads would wait for those of BLAS
        model = AlternatingLeastSquares(
            factors=FACTORS, regularization=regularisation / 1000, iterations=ROUNDS, random_state=SEED
        )
        model.fit(sparse.csr_matrix(matrix), show_progress=False)
    return np.asarray(model.item_factors)


def recommend(
    model: Recommender,
    subjects: Sequence[str],
    histories: pd.DataFrame,
    excluded: pd.DataFrame,
    items: pd.DataFrame,
    count: int = COUNT,
    is_reasoned: bool = True,
) -> pd.DataFrame:
    """The `count` best items for each subject: COLUMNS, in order of the subjects and places (1 first).

    `histories` says what they had (subject_id, item_id, weight), and for groups, what their members had; `excluded`
    what they must not be offered (subject_id, item_id), such as what they have seen; `items` what is to be had, with
    its category (item_id, category): what is not in it is not offered. No category gets more than half of the places
    as long as others are left. `because` is the item of the history that speaks most for the offer; none where only
    its popularity does, or where nobody asks (`is_reasoned`: it takes longer than the choice). The last places are for
    what less than half as many people know as usual.
    """
    place_of = {item: place for place, item in enumerate(model.items)}
    category = np.full(len(model.items), "", dtype=object)
    is_offered = np.zeros(len(model.items), dtype=bool)
    for item, name in zip(items["item_id"], items["category"], strict=True):
        if (place := place_of.get(item)) is not None:
            category[place], is_offered[place] = name, True
    row_of = {subject: row for row, subject in enumerate(subjects)}
    had = _matrix(histories, row_of, place_of)
    barred = _matrix(excluded.assign(weight=1.0), row_of, place_of)
    rows, is_rare, reach = [], _is_rare(model), _reach(model)
    for begin in range(0, len(subjects), _BLOCK):
        similar, scores = _scores(model, had[begin : begin + _BLOCK])
        for offset, subject in enumerate(subjects[begin : begin + _BLOCK]):
            row = begin + offset
            seen = had.indices[had.indptr[row] : had.indptr[row + 1]]
            weight = had.data[had.indptr[row] : had.indptr[row + 1]]
            allowed = is_offered.copy()
            allowed[barred.indices[barred.indptr[row] : barred.indptr[row + 1]]] = False
            own = similar[offset] / reach
            chosen = _choose(scores[offset], own, is_rare, allowed, category, count, len(seen) > 0)
            places = [place for place, _ in chosen]
            reasons = _because(model, places, seen, weight) if is_reasoned else [None] * len(places)
            for number, ((place, source), because) in enumerate(zip(chosen, reasons, strict=True), start=1):
                told: Source = source if because is not None else "popular"
                rows.append((subject, number, str(model.items[place]), float(scores[offset, place]), told, because))
    return pd.DataFrame(rows, columns=COLUMNS)


def _matrix(frame: pd.DataFrame, row_of: Mapping[str, int], place_of: Mapping[str, int]) -> sparse.csr_array:
    row, place = frame["subject_id"].map(row_of), frame["item_id"].map(place_of)
    known = (row.notna() & place.notna()).to_numpy()
    values = frame["weight"].to_numpy(float)[known], (row[known].astype(int), place[known].astype(int))
    matrix = sparse.csr_array(values, shape=(len(row_of), len(place_of)))
    matrix.sum_duplicates()
    return matrix


def _scores(model: Recommender, had: sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """For each row of histories and each item: similarity, and its sum with popularity, in standard deviations."""
    if model.similar is not None:
        similar = (had @ model.similar).toarray()
    else:
        similar = np.vstack([_preference(model, had[[row]]) @ model.factors.T for row in range(had.shape[0])])
    spread = similar.std(axis=1, keepdims=True)
    popular = model.popularity / max(model.popularity.std(), 1e-12)
    share = np.where(spread > 0, model.setting.popularity, 1.0)
    return similar, similar / np.where(spread > 0, spread, 1.0) + share * popular


def _preference(model: Recommender, had: sparse.csr_array) -> np.ndarray:
    """A person's factors, from what they had (Hu, Koren and Volinsky 2008, equation 4)."""
    return _solved(model, had.indices, had.data) @ (model.factors[had.indices].T @ had.data)


def _solved(model: Recommender, seen: np.ndarray, weight: np.ndarray) -> np.ndarray:
    own = model.factors[seen]
    normal = model.factors.T @ model.factors + own.T @ ((weight - 1)[:, None] * own)
    return np.linalg.inv(normal + model.setting.regularisation / 1000 * np.eye(model.factors.shape[1]))


def _choose(
    score: np.ndarray,
    own: np.ndarray,
    is_rare: np.ndarray,
    allowed: np.ndarray,
    category: np.ndarray,
    count: int,
    is_known: bool,
) -> list[tuple[int, Source]]:
    """The places of the chosen items, best first, and where they come from. `own` is what is personal of the score."""
    candidates, most = np.flatnonzero(allowed), max(count // 2, 1)
    ranked = _best(candidates, score, 20 * count)
    first = count - DISCOVERIES if is_known and count > DISCOVERIES else count
    chosen = _mixed(ranked, category, first, {}, most)
    source: Source = "similar" if is_known else "popular"
    found: list[tuple[int, Source]] = [(place, source) for place in chosen]
    if first < count:
        rare = _best(candidates[is_rare[candidates] & ~np.isin(candidates, chosen)], own, 20 * count)
        taken = Counter(category[chosen])
        found += [(place, "discovery") for place in _mixed(rare, category, count - first, taken, most)]
    if len(found) < count:
        left = ranked[~np.isin(ranked, [place for place, _ in found])]
        found += [(int(place), source) for place in left[: count - len(found)]]
    return found


def _best(candidates: np.ndarray, score: np.ndarray, most: int) -> np.ndarray:
    """The candidates of the greatest scores, in order; of equal ones the first."""
    if len(candidates) > most:
        least = np.partition(score[candidates], -most)[-most]
        candidates = candidates[score[candidates] >= least]
    return candidates[np.lexsort((candidates, -score[candidates]))][:most]


def _is_rare(model: Recommender) -> np.ndarray:
    """Whether fewer people have an item than half of all that are known, which LEAST_PEOPLE have at least."""
    is_known = model.people >= LEAST_PEOPLE
    return is_known & (model.people <= np.median(model.people[is_known])) if is_known.any() else is_known


def _reach(model: Recommender) -> np.ndarray:
    """How strongly each item follows from anything that people had: a score beside it is personal."""
    if model.factors is not None:
        reach = np.linalg.norm(model.factors, axis=1)
    else:
        reach = np.sqrt(np.asarray(model.similar.multiply(model.similar).sum(axis=0)).ravel())
    return np.where(reach > 0, reach, np.inf)


def _mixed(ranked: Sequence[int], category: np.ndarray, count: int, taken: Mapping[str, int], most: int) -> list[int]:
    """The first `count`, but of each category at most `most` with those already taken, unless too few are left."""
    taken, chosen, passed = dict(taken), [], []
    for place in ranked:
        if len(chosen) == count:
            break
        if taken.get(category[place], 0) < most:
            taken[category[place]] = taken.get(category[place], 0) + 1
            chosen.append(int(place))
        else:
            passed.append(int(place))
    return chosen + passed[: count - len(chosen)]


def _because(model: Recommender, places: Sequence[int], seen: np.ndarray, weight: np.ndarray) -> list[str | None]:
    """The item of a history that speaks most for each of the places; none when nothing does."""
    if len(seen) == 0:
        return [None] * len(places)
    if model.similar is not None:
        parts = (model.similar[:, places].tocsr()[seen].toarray() * weight[:, None]).T
    else:
        parts = model.factors[places] @ _solved(model, seen, weight) @ (model.factors[seen].T * weight)
    best = parts.argmax(axis=1)
    return [str(model.items[seen[one]]) if part[one] > 0 else None for one, part in zip(best, parts, strict=True)]


@dataclass(frozen=True)
class Trial:
    """What was known at a moment, and what people wanted then: histories, and what followed by subject."""

    past: pd.DataFrame
    histories: pd.DataFrame
    wanted: dict[str, set[str]]


def trial(interactions: pd.DataFrame, at: pd.Timestamp) -> Trial:
    """A test by time: learn from what came before `at`, and guess what people who were active after it wanted.

    Of each of them, all before `at` and the first half of what came after is told; the second half has to be found,
    as far as anybody had it before `at` and they had not.
    """
    is_past = interactions["at"] < at
    past, later = interactions[is_past], interactions[~is_past].sort_values(["at", "item_id"], kind="stable")
    place = later.groupby("user_id").cumcount()
    half = (later.groupby("user_id")["item_id"].transform("size") + 1) // 2
    told = pd.concat([past[past["user_id"].isin(set(later["user_id"]))], later[place < half]])
    known = set(past["item_id"])
    wanted: dict[str, set[str]] = {}
    for user, item in zip(*(later.loc[place >= half, name] for name in ("user_id", "item_id")), strict=True):
        if item in known:
            wanted.setdefault(user, set()).add(item)
    had = told[told["user_id"].isin(wanted)].groupby("user_id")["item_id"].agg(set)
    wanted = {user: items - had[user] for user, items in wanted.items() if items - had[user]}
    histories = told[told["user_id"].isin(wanted)].rename(columns={"user_id": "subject_id"})
    return Trial(past, histories[["subject_id", "item_id", "weight"]], wanted)


def ndcg(recommended: pd.DataFrame, wanted: Mapping[str, set[str]], count: int = COUNT) -> float:
    """Normalised discounted cumulative gain at `count`, the mean over those who wanted something, 0 to 1."""
    return float(_ndcg_of_each(recommended, wanted, count).mean())


def _ndcg_of_each(recommended: pd.DataFrame, wanted: Mapping[str, set[str]], count: int = COUNT) -> np.ndarray:
    gain = 1 / np.log2(np.arange(2, count + 2))
    best = np.cumsum(gain)
    by_subject = {subject: list(frame["item_id"]) for subject, frame in recommended.groupby("subject_id")}
    reached = [
        sum(gain[place] for place, item in enumerate(by_subject.get(subject, [])[:count]) if item in items)
        / best[min(len(items), count) - 1]
        for subject, items in wanted.items()
    ]
    return np.array(reached)


def tune(interactions: pd.DataFrame, settings: Sequence[Setting], items: pd.DataFrame) -> Setting:
    """The setting that finds most in two trials, at 0.7 and 0.85 of the interactions; the first if nobody was there."""
    found = dict.fromkeys(settings, 0.0)
    for share in (0.7, 0.85):
        asked = trial(interactions, interactions["at"].quantile(share))
        if not asked.wanted or asked.past.empty:
            continue
        learned: dict[tuple, Recommender] = {}
        for setting in settings:
            key = setting.regularisation, setting.half_life_days
            if key not in learned:
                learned[key] = fit(asked.past, setting)
            told = answer(replace(learned[key], setting=setting), asked, items)
            found[setting] += ndcg(told, asked.wanted)
    return max(settings, key=found.__getitem__)


def answer(model: Recommender, asked: Trial, items: pd.DataFrame) -> pd.DataFrame:
    """What is recommended to those of a trial."""
    seen = asked.histories[["subject_id", "item_id"]]
    return recommend(model, list(asked.wanted), asked.histories, seen, items, is_reasoned=False)


def evaluate(
    interactions: pd.DataFrame, at: pd.Timestamp, items: pd.DataFrame, before: Recommender | None = None
) -> tuple[dict[str, float], Comparison | None]:
    """Scores of a trial at `at`, everything tuned on what came before it, and the chosen setting's figures.

    ndcg, and ndcg_popularity (how many people had it, ever), ndcg_recent (popular of late) and ndcg_ease (plain EASE,
    its regularisation tuned the same way) beside it; coverage, the share of the items that LEAST_PEOPLE had which
    stands in the recommendations to everybody known by then, coverage_all, that of all items, and n, the people judged.
    With `before`, an earlier recommender (it may have learned from what came after `at`: that is in its favour), what
    both miss of a perfect NDCG is compared person by person; None with too few people.
    Raises ValueError when nobody can be judged.
    """
    asked = trial(interactions, at)
    if not asked.wanted or asked.past.empty:
        raise ValueError("Nobody was active both before and after: there is nobody to test recommendations on.")
    model = fit(asked.past, tune(asked.past, SETTINGS, items))
    plain = asked.past.assign(weight=1.0).drop_duplicates(["user_id", "item_id"])
    ease = fit(plain, tune(plain, PLAIN, items))
    everybody = asked.past[~asked.past["user_id"].isin(asked.wanted)].rename(columns={"user_id": "subject_id"})
    own = answer(model, asked, items)
    others = sorted(set(everybody["subject_id"]))
    rest = recommend(model, others, everybody, everybody, items, is_reasoned=False)
    shown = set(own["item_id"]) | set(rest["item_id"])
    known = set(model.items[model.people >= LEAST_PEOPLE].tolist())
    reached = _ndcg_of_each(own, asked.wanted)
    scores = {
        "ndcg": float(reached.mean()),
        "ndcg_popularity": ndcg(_top(asked, asked.past.groupby("item_id")["user_id"].nunique()), asked.wanted),
        "ndcg_recent": ndcg(_top(asked, pd.Series(model.popularity, model.items)), asked.wanted),
        "ndcg_ease": ndcg(_plain(ease, asked), asked.wanted),
        "coverage": len(shown & known) / max(len(known), 1),
        "coverage_all": len(shown) / len(model.items),
        "n": len(asked.wanted),
    }
    if before is None or len(asked.wanted) < LEAST_BLOCKS:
        return scores, None
    reached_before = _ndcg_of_each(answer(before, asked, items), asked.wanted)
    return scores, compare_paired(1 - reached, 1 - reached_before, np.array(list(asked.wanted), dtype=str))


def _top(asked: Trial, value: pd.Series) -> pd.DataFrame:
    """The items of the greatest value that each has not had."""
    ranked = value.sort_index().sort_values(ascending=False, kind="stable").index
    had = asked.histories.groupby("subject_id")["item_id"].agg(set)
    rows = [
        (subject, item)
        for subject in asked.wanted
        for item in [item for item in ranked[: COUNT + len(had[subject])] if item not in had[subject]][:COUNT]
    ]
    return pd.DataFrame(rows, columns=["subject_id", "item_id"])


def _plain(model: Recommender, asked: Trial) -> pd.DataFrame:
    """By similarity alone: no popularity, no discoveries, no mixture of categories; every interaction counts one."""
    row_of = {subject: row for row, subject in enumerate(asked.wanted)}
    place_of = {item: place for place, item in enumerate(model.items)}
    had = _matrix(asked.histories.assign(weight=1.0), row_of, place_of)
    _, scores = _scores(model, had)
    rows = []
    for subject, row in row_of.items():
        left = np.setdiff1d(np.arange(len(model.items)), had.indices[had.indptr[row] : had.indptr[row + 1]])
        rows += [(subject, str(model.items[place])) for place in _best(left, scores[row], COUNT)]
    return pd.DataFrame(rows, columns=["subject_id", "item_id"])
