"""How well recommendations find what people want next on MovieLens, by a test in time."""

from pathlib import Path

SHARES = (0.8, 0.7)  # of all ratings, before the moment of the test


def rows(data: Path, shares=SHARES) -> list[dict]:
    """NDCG@10 beside popularity and a tuned plain EASE in the same run, and how much of the catalogue is shown."""
    from ml import recommend

    interactions, items = movielens(data)
    told = []
    for share in shares:
        scored, _ = recommend.evaluate(interactions, interactions["at"].quantile(share), items)
        name = f"MovieLens, from {share:g} of the time on, {scored['n']} people"
        beside = f"popularity {scored['ndcg_popularity']:.3f}, of late {scored['ndcg_recent']:.3f}, "
        beside += f"plain EASE {scored['ndcg_ease']:.3f}"
        all_items = f"of all items {100 * scored['coverage_all']:.1f} %"
        told += [
            row(name, "NDCG@10", scored["ndcg"], "", beside),
            row(name, "NDCG@10 over popularity's", scored["ndcg"] / scored["ndcg_popularity"], "≥ 1.25", ""),
            row(name, "NDCG@10 over plain EASE's", scored["ndcg"] / scored["ndcg_ease"], "≥ 1.05", ""),
            row(name, "catalogue shown, % of items that five had", 100 * scored["coverage"], "≥ 20", all_items),
        ]
    return told


def row(name: str, measure: str, value: float, aim: str, note: str) -> dict:
    return {"set": name, "measure": measure, "value": float(value), "aim": aim, "published": "", "note": note}


def movielens(data: Path):
    """Ratings as interactions, weighted by (stars / 4)², and movies with their first genre."""
    import pandas as pd

    folder = data / "movielens-latest-small"
    ratings, movies = pd.read_csv(folder / "ratings.csv.gz"), pd.read_csv(folder / "movies.csv.gz")
    interactions = pd.DataFrame(
        {
            "user_id": ratings["userId"].astype(str),
            "item_id": ratings["movieId"].astype(str),
            "weight": (ratings["rating"] / 4) ** 2,
            "at": pd.to_datetime(ratings["timestamp"], unit="s"),
        }
    )
    items = pd.DataFrame({"item_id": movies["movieId"].astype(str), "category": movies["genres"].str.split("|").str[0]})
    return interactions, items
