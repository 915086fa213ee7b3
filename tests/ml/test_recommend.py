"""Recommendations on people who like one of two things, and how they do on MovieLens."""

import numpy as np
import pandas as pd
import pytest

from ml import recommend
from orchestration.predict import artefacts

AT = pd.Timestamp("2026-01-01")


@pytest.fixture(scope="module")
def tastes() -> pd.DataFrame:
    """40 people had six of the ten items a0 … a9, 40 others six of b0 … b9."""
    random = np.random.default_rng(1)
    rows = [
        (f"{taste}-{person}", f"{taste}{item}", 1.0, AT + pd.Timedelta(hours=int(person)))
        for taste in "ab"
        for person in range(40)
        for item in random.choice(10, 6, replace=False)
    ]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "weight", "at"])


def items(frame: pd.DataFrame) -> pd.DataFrame:
    names = sorted(set(frame["item_id"]))
    return pd.DataFrame({"item_id": names, "category": [name[0] for name in names]})


def ask(model, had: dict[str, list[str]], offered: pd.DataFrame, excluded=(), count=4) -> pd.DataFrame:
    history = pd.DataFrame(
        [(who, item, 1.0) for who, items in had.items() for item in items],
        columns=["subject_id", "item_id", "weight"],
    )
    barred = pd.concat([history[["subject_id", "item_id"]], pd.DataFrame(excluded, columns=["subject_id", "item_id"])])
    return recommend.recommend(model, list(had), history, barred, offered, count)


@pytest.mark.parametrize("most", [recommend.MOST_ITEMS, 0], ids=["EASE", "ALS"])
def test_people_are_recommended_what_is_like_what_they_had(tastes, most, monkeypatch):
    monkeypatch.setattr(recommend, "MOST_ITEMS", most)
    monkeypatch.setattr(recommend, "FACTORS", 4)
    monkeypatch.setattr(recommend, "DISCOVERIES", 0)
    model = recommend.fit(tastes, recommend.Setting(5.0, None, 0.0))
    assert (model.factors is None) == (most > 0)
    offered = items(tastes).assign(category=range(20))
    told = ask(model, {"new": ["a0", "a1", "a2"], "other": ["b3"]}, offered, [("other", "b4")])
    by_subject = told.groupby("subject_id")["item_id"].agg(set)
    assert by_subject["new"] <= {f"a{n}" for n in range(3, 10)}
    assert by_subject["other"] <= {f"b{n}" for n in range(10)} - {"b3", "b4"}
    assert set(told.loc[told["subject_id"] == "new", "because"]) <= {"a0", "a1", "a2"}
    assert list(told["place"]) == [1, 2, 3, 4] * 2

    again = artefacts.load_recommender(artefacts.dump_recommender(model))
    pd.testing.assert_frame_equal(
        told, ask(again, {"new": ["a0", "a1", "a2"], "other": ["b3"]}, offered, [("other", "b4")])
    )


def test_ease_is_its_closed_form_whichever_side_is_smaller(tastes):
    """B = I − P / diag(P), P = (XᵀX + λI)⁻¹: with 80 people and 20 items, and with the first 12 people."""
    for people in (80, 12):
        matrix = tastes.pivot_table(index="user_id", columns="item_id", values="weight", fill_value=0).iloc[:people]
        frame = matrix.stack().rename("weight").reset_index()
        frame = frame[frame["weight"] > 0].assign(at=AT)
        model = recommend.fit(frame, recommend.Setting(5.0, None, 0.0))
        dense = matrix[list(model.items)].to_numpy()
        inverse = np.linalg.inv(dense.T @ dense + 5.0 * np.eye(len(model.items)))
        due = np.eye(len(model.items)) - inverse / np.diag(inverse)
        np.testing.assert_allclose(model.similar.toarray(), due, atol=1e-4)


def test_who_is_not_known_gets_what_is_popular_of_late(tastes):
    old = tastes.assign(at=AT - pd.Timedelta(days=4000))
    new = pd.DataFrame({"user_id": ["x", "y"], "item_id": "b7", "weight": 1.0, "at": AT})
    model = recommend.fit(pd.concat([old, new]), recommend.Setting())
    told = ask(model, {"nobody": []}, items(tastes))
    assert (told["source"] == "popular").all() and told["because"].isna().all()
    assert told["item_id"].iloc[0] == "b7"
    assert ask(recommend.popular(pd.concat([old, new])), {"nobody": []}, items(tastes))["item_id"].iloc[0] == "b7"


def test_what_is_not_to_be_had_is_not_offered_and_no_category_has_more_than_half(tastes):
    model = recommend.fit(tastes, recommend.Setting(5.0, None, 0.1))
    told = ask(model, {"new": ["a0"]}, items(tastes)[lambda frame: frame["item_id"] != "a1"], count=8)
    assert "a1" not in set(told["item_id"]) and len(told) == 8 and told["item_id"].is_unique
    assert told["item_id"].str[0].value_counts().max() == 4
    only = items(tastes)[lambda frame: frame["category"] == "a"]
    assert len(ask(model, {"new": ["a0"]}, only, count=8)) == 8  # nothing else is left


def test_gain_is_that_of_the_definition():
    told = pd.DataFrame({"subject_id": ["u"] * 3, "item_id": ["x", "y", "z"]})
    assert recommend.ndcg(told, {"u": {"x"}}) == pytest.approx(1)
    assert recommend.ndcg(told, {"u": {"y", "q"}}) == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))
    assert recommend.ndcg(told, {"u": {"x"}, "nobody": {"x"}}) == pytest.approx(0.5)


def test_a_trial_tells_nothing_of_what_it_asks(tastes):
    mixed = tastes.sample(frac=1, random_state=1)
    mixed = mixed.assign(at=AT + pd.to_timedelta(range(len(mixed)), unit="h"))
    asked = recommend.trial(mixed, AT + pd.Timedelta("240h"))
    told = set(zip(asked.histories["subject_id"], asked.histories["item_id"], strict=True))
    assert len(asked.past) == 240 and asked.wanted
    assert not any((user, item) in told for user, wanted in asked.wanted.items() for item in wanted)


def test_movielens_in_small(data):
    """The 600 films that most people rated: at least 1.25 times popularity, and a fifth of them shown."""
    ratings = pd.read_csv(data / "movielens-latest-small" / "ratings.csv.gz").astype({"userId": str, "movieId": str})
    most = ratings["movieId"].value_counts().index[:600]
    ratings = ratings[ratings["movieId"].isin(most)]
    frame = pd.DataFrame(
        {
            "user_id": ratings["userId"],
            "item_id": ratings["movieId"],
            "weight": (ratings["rating"] / 4) ** 2,
            "at": pd.to_datetime(ratings["timestamp"], unit="s"),
        }
    )
    offered = pd.DataFrame({"item_id": sorted(most), "category": ""})
    moment = frame["at"].quantile(0.8)
    before = recommend.popular(frame[frame["at"] < moment])
    scored, against = recommend.evaluate(frame, moment, offered, before)
    assert against.is_better and against.units == scored["n"]  # than what is popular alone
    assert scored["ndcg"] > 1.25 * scored["ndcg_popularity"]
    assert scored["ndcg"] > 0.97 * scored["ndcg_ease"]
    assert scored["coverage"] > 0.2
