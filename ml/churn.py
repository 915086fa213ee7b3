"""Who is likely to stay away: probabilities with reasons that add up to them. Features are computed elsewhere.

Two models are averaged in log-odds: a logistic regression on splines, whose contributions are linear, and small boosted
trees, whose contributions are TreeSHAP values (Lundberg et al. 2018). Whether a room will succeed is learned the same
way: nothing here knows what the label means.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml import scores

KNOTS = 5
LEAST_DISTINCT = 8  # values a column needs before a curve is fitted through it instead of a line
TAIL = 0.02  # of the people on either side: out there a curve stays where it was
BASE = "base"
ROUNDS = 300
TREES = {
    "objective": "binary",
    "learning_rate": 0.03,
    "num_leaves": 4,
    "min_data_in_leaf": 40,
    "lambda_l2": 5.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


@dataclass(frozen=True)
class ChurnModel:
    """`pipeline` is scikit-learn's, `typical` the mean of each of its inner columns, `trees` LightGBM's own text."""

    features: tuple[str, ...]
    at: str  # the newest cut-off that it learned from, ISO 8601
    pipeline: object
    typical: np.ndarray
    trees: str


def train(features: pd.DataFrame, labels: pd.Series, at: pd.Timestamp | pd.Series) -> ChurnModel:
    """Learn from users as they were at a cut-off (or at several: `at` by row) and whether they then stayed away.

    `features` is numeric, a row a user and cut-off; nulls are taken as the median. `labels` is 1 for who churned.
    Classes are not weighted: the probabilities are meant. Raises ValueError when there is nothing to tell apart.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline, make_pipeline
    from sklearn.preprocessing import SplineTransformer, StandardScaler

    happened = _labels(features, labels)
    inner = _signed_log(features)
    low, high = inner.quantile(TAIL), inner.quantile(1 - TAIL)
    curved = [name for name in features if inner[name].nunique() >= LEAST_DISTINCT and low[name] < high[name]]
    straight = [name for name in features if name not in curved]
    knots = np.linspace(low[curved], high[curved], KNOTS) if curved else "uniform"
    spline = SplineTransformer(n_knots=KNOTS, degree=3, knots=knots, extrapolation="constant", include_bias=False)
    bends = ColumnTransformer(
        [
            ("curved", make_pipeline(SimpleImputer(strategy="median"), spline), curved),
            ("straight", SimpleImputer(strategy="median", keep_empty_features=True), straight),
        ]
    )
    pipeline = Pipeline(
        [("bends", bends), ("scaled", StandardScaler()), ("logit", LogisticRegression(C=1.0, max_iter=2000))]
    )
    pipeline.fit(inner, happened)
    typical = pipeline[:-1].transform(inner).mean(axis=0)
    newest = at.max() if isinstance(at, pd.Series) else at
    trees = _boosted(features, happened)
    return ChurnModel(tuple(features.columns), pd.Timestamp(newest).isoformat(), pipeline, typical, trees)


def score(model: ChurnModel, features: pd.DataFrame) -> pd.DataFrame:
    """The probability that each user churns, and why. Same index as `features`: probability (0..1), reasons.

    `reasons` is a list of {"feature", "value", "contribution"}, strongest first, that ends with what all users share
    ("base"). Contributions are in log-odds and add up exactly: probability = 1 / (1 + exp(-sum)).
    """
    if missing := set(model.features) - set(features.columns):
        raise ValueError(f"The features lack {sorted(missing)[0]}: compute them as for the training of this model.")
    features = features[list(model.features)]
    parts, base = _contributions(model, features)
    told = _share(parts.sum(axis=1) + base)
    order = np.argsort(-np.abs(parts), axis=1, kind="stable")
    values = features.astype(float).to_numpy()
    reasons = [
        [_reason(model.features[place], values[row, place], parts[row, place]) for place in order[row]]
        + [_reason(BASE, np.nan, base)]
        for row in range(len(features))
    ]
    return pd.DataFrame({"probability": told, "reasons": reasons}, index=features.index)


def evaluate(features: pd.DataFrame, labels: pd.Series, at: pd.Series, plain: str) -> dict[str, float]:
    """Scores out of sample, by time: learn from all cut-offs but the newest, judge there.

    Returns auc, brier and ece of the model; brier_plain and auc_plain of a logistic regression on the column
    `plain` alone; brier_base_rate; and n, how many were judged. Raises ValueError with fewer than two cut-offs.
    """
    from sklearn.metrics import roc_auc_score

    happened = _labels(features, labels)
    is_newest = (at == at.max()).to_numpy()
    if is_newest.all():
        raise ValueError("There is only one cut-off: a test by time needs an earlier one to learn from.")
    past, newest = features[~is_newest], features[is_newest]
    truth = happened[is_newest]
    if len(np.unique(truth)) < 2:
        raise ValueError("At the newest cut-off all users stayed or all left: nothing can be told apart there.")
    own = probability(train(past, labels[~is_newest], at[~is_newest]), newest)
    simple = _plain_probability(past[plain], happened[~is_newest], newest[plain])
    return {
        "auc": float(roc_auc_score(truth, own)),
        "brier": scores.brier(truth, own),
        "ece": scores.calibration_error(truth, own),
        "auc_plain": float(roc_auc_score(truth, simple)),
        "brier_plain": scores.brier(truth, simple),
        "brier_base_rate": scores.brier(truth, np.full(len(truth), happened[~is_newest].mean())),
        "n": int(is_newest.sum()),
    }


def _labels(features: pd.DataFrame, labels: pd.Series) -> np.ndarray:
    if len(features) != len(labels):
        raise ValueError(f"There are {len(features)} rows of features and {len(labels)} labels: give one for each.")
    if wrong := [name for name, kind in features.dtypes.items() if kind.kind not in "biuf"]:
        raise ValueError(f"The feature {wrong[0]} is not numeric: encode it first.")
    happened = labels.astype(int).to_numpy()
    if len(np.unique(happened)) < 2:
        raise ValueError("All users stayed or all left: there is nothing to learn to tell apart.")
    return happened


def _signed_log(features: pd.DataFrame) -> pd.DataFrame:
    """Counts and amounts have long tails, and what matters of them is their order of magnitude."""
    values = features.astype(float)
    return np.sign(values) * np.log1p(np.abs(values))


def _contributions(model: ChurnModel, features: pd.DataFrame) -> tuple[np.ndarray, float]:
    """What each feature adds to the log-odds, against the mean over the training rows; and the log-odds there."""
    straight, base = _linear_contributions(model, features)
    branched, expected = _tree_contributions(model, features)
    return (straight + branched) / 2, (base + expected) / 2


def _boosted(features: pd.DataFrame, happened: np.ndarray) -> str:
    import lightgbm

    data = lightgbm.Dataset(features.to_numpy(float), happened)
    return lightgbm.train(TREES, data, ROUNDS).model_to_string()


def _tree_contributions(model: ChurnModel, features: pd.DataFrame) -> tuple[np.ndarray, float]:
    import lightgbm

    booster = lightgbm.Booster(model_str=model.trees)
    parts = booster.predict(features.to_numpy(float), pred_contrib=True, num_threads=1)
    return parts[:, :-1], float(parts[0, -1]) if len(parts) else 0.0


def _linear_contributions(model: ChurnModel, features: pd.DataFrame) -> tuple[np.ndarray, float]:
    logit = model.pipeline[-1]
    weights = logit.coef_[0]
    inner = (model.pipeline[:-1].transform(_signed_log(features)) - model.typical) * weights
    parts = np.zeros((len(features), len(model.features)))
    bends = model.pipeline.named_steps["bends"]
    names = bends.get_feature_names_out()
    for place, feature in enumerate(model.features):
        own = [column for column, name in enumerate(names) if _source(name) == feature]
        parts[:, place] = inner[:, own].sum(axis=1)
    return parts, float(logit.intercept_[0] + model.typical @ weights)


def _source(name: str) -> str:
    """The feature that an inner column comes from: curved__orders_28_sp_3 comes from orders_28."""
    kind, _, rest = name.partition("__")
    return rest.rsplit("_sp_", 1)[0] if kind == "curved" else rest


def _reason(feature: str, value: float, contribution: float) -> dict:
    return {"feature": feature, "value": None if np.isnan(value) else float(value), "contribution": float(contribution)}


def probability(model: ChurnModel, features: pd.DataFrame) -> np.ndarray:
    """The probabilities of `score` alone, without reasons."""
    parts, base = _contributions(model, features[list(model.features)])
    return _share(parts.sum(axis=1) + base)


def _share(log_odds: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-log_odds))


def _plain_probability(past: pd.Series, happened: np.ndarray, newest: pd.Series) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression

    line = LogisticRegression().fit(np.log1p(past.to_numpy(float))[:, None], happened)
    return line.predict_proba(np.log1p(newest.to_numpy(float))[:, None])[:, 1]
