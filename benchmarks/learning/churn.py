"""How well people's leaving and rooms' success are foretold, beside what is known of the same data."""

import json
import tempfile
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from ml import churn, scores
from orchestration.simulate.simulator import simulate

CUTOFF = pd.Timestamp("2011-09-01")  # of Online Retail; the test, and nothing after it is known there
HORIZON = pd.Timedelta(days=90)
SNAPSHOTS = (90, 120, 150)  # days before CUTOFF: what is learned from; their horizons end by it
OULAD_DAY = 60
FOLDS = 5
ROOM_SEEDS, ROOM_EVENTS, ROOM_DAYS, HELD_BACK_DAYS = (1, 2, 3), 1_000_000, 84, 21
OPENING = pd.Timedelta(minutes=6)  # as in dbt's room_openings


def rows(data: Path) -> list[dict]:
    return [*telco_rows(data), *retail_rows(data), *oulad_rows(data), *room_rows()]


def telco_rows(data: Path) -> list[dict]:
    features, labels = telco(data)
    told = folded(features, labels)
    name = f"Telco, {len(labels):,} customers, five folds"
    return [
        _row(name, "AUC", _auc(labels, told), "≥ 0.853", "logistic regression 0.845, LightGBM 0.846"),
        _row(name, "Brier score", scores.brier(labels.to_numpy(), told), "≤ 0.132"),
        _row(name, "ECE", scores.calibration_error(labels.to_numpy(), told), "≤ 0.02"),
    ]


def retail_rows(data: Path) -> list[dict]:
    """Learned from customers as they were 90 to 150 days before the cut-off, judged at the cut-off."""
    lines = retail_lines(data)
    past = [retail_snapshot(lines, CUTOFF - pd.Timedelta(days=days)) for days in SNAPSHOTS]
    features, labels = (pd.concat(parts, ignore_index=True) for parts in zip(*past, strict=True))
    unseen, truth = retail_snapshot(lines, CUTOFF)
    model = churn.train(features, labels, CUTOFF - pd.Timedelta(days=min(SNAPSHOTS)))
    told = churn.probability(model, unseen)
    plain = _auc(truth, unseen["recency_days"].to_numpy())
    name = f"Online Retail, {len(truth):,} customers, 90 days"
    alive = bgnbd(features, unseen, HORIZON.days)
    known = "logistic regression at the cut-off itself 0.738"
    note = f"here: recency alone {plain:.3f}, BG/NBD {_auc(truth, alive):.3f}"
    return [
        _row(name, "AUC", _auc(truth, told), "≥ 0.75", known, note),
        _row(name, "Brier score", scores.brier(truth.to_numpy(), told), ""),
        _row(name, "ECE", scores.calibration_error(truth.to_numpy(), told), ""),
    ]


def oulad_rows(data: Path) -> list[dict]:
    features, labels = oulad(data)
    told = folded(features, labels)
    name = f"OULAD, {len(labels):,} enrolments at day {OULAD_DAY}, five folds"
    return [
        _row(name, "AUC", _auc(labels, told), "≥ 0.73", "LightGBM 0.716, logistic regression 0.693"),
        _row(name, "ECE", scores.calibration_error(labels.to_numpy(), told), ""),
    ]


def folded(features: pd.DataFrame, labels: pd.Series) -> np.ndarray:
    """Each row's probability by a model that learned from the other folds."""
    from sklearn.model_selection import StratifiedKFold

    told = np.zeros(len(labels))
    for past, unseen in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(features, labels):
        model = churn.train(features.iloc[past], labels.iloc[past], pd.Timestamp("2020-01-01"))
        told[unseen] = churn.probability(model, features.iloc[unseen])
    return told


def room_rows() -> list[dict]:
    """Rooms of simulated tenants: learned from all weeks but the last three, judged there."""
    rooms = pd.concat([simulated_rooms(seed) for seed in ROOM_SEEDS], ignore_index=True)
    features, labels = rooms.drop(columns=["cutoff_at", "has_matched"]), rooms["has_matched"]
    is_held_back = rooms["cutoff_at"] >= rooms["cutoff_at"].max() - pd.Timedelta(days=HELD_BACK_DAYS)
    model = churn.train(features[~is_held_back], labels[~is_held_back], rooms.loc[~is_held_back, "cutoff_at"].max())
    told, truth = churn.probability(model, features[is_held_back]), labels[is_held_back]
    name = f"Simulated rooms, {len(truth):,} of three weeks held back"
    members = _auc(truth, features.loc[is_held_back, "members"].to_numpy())
    return [
        _row(name, "ECE", scores.calibration_error(truth.to_numpy(), told), "≤ 0.03"),
        _row(name, "AUC", _auc(truth, told), "", note=f"members alone {max(members, 1 - members):.3f}"),
    ]


def simulated_rooms(seed: int) -> pd.DataFrame:
    """Rooms undecided six minutes after their creation: what was known then, cutoff_at, and has_matched."""
    with tempfile.TemporaryDirectory() as name:
        folder, days = Path(name), ROOM_DAYS
        simulate(folder, start=date(2026, 1, 5), days=days, events=ROOM_EVENTS, seed=seed, broken_rate=0.0)
        lines = [
            line
            for path in sorted(folder.glob("*.jsonl"))
            for line in path.open()
            if '"room_' in line or "vote_" in line
        ]
    events = pd.DataFrame(map(json.loads, lines)).drop_duplicates("event_id")
    properties = pd.DataFrame(events["properties"].to_list(), index=events.index)
    events = events.join(properties[["room_id", "content_id", "is_in_favour"]]).dropna(subset="room_id")
    events["at"] = pd.to_datetime(events["occurred_at"], format="ISO8601")
    return opened(events)


def opened(events: pd.DataFrame) -> pd.DataFrame:
    """The features of dbt's room_openings."""
    created = events[events["event_type"] == "room_created"].groupby("room_id")["at"].min().rename("created_at")
    events = events.join(created, on="room_id", how="inner")
    cutoff = created + OPENING
    early = events[events["at"] <= events["created_at"] + OPENING]
    kind = early["event_type"]
    votes = early[kind == "vote_cast"].groupby("room_id")
    last_joined = early[kind == "room_joined"].groupby("room_id")["at"].max()
    started = early[kind == "room_started"].groupby("room_id")["at"].min()
    is_member = kind.isin(["room_created", "room_joined", "vote_cast"])
    rooms = pd.DataFrame({"cutoff_at": cutoff})
    rooms["members"] = early[is_member].groupby("room_id")["user_id"].nunique()
    rooms["seconds_since_joined"] = (cutoff - last_joined).dt.total_seconds()
    rooms["seconds_since_started"] = (cutoff - started).dt.total_seconds()
    rooms["votes"], rooms["items"] = votes.size(), votes["content_id"].nunique()
    rooms["in_favour_rate"] = votes["is_in_favour"].agg(lambda one: one.astype(float).mean())
    rooms[["votes", "items"]] = rooms[["votes", "items"]].fillna(0)
    rooms["votes_per_member"] = rooms["votes"] / rooms["members"]
    rooms["votes_against"] = (rooms["votes"] * (1 - rooms["in_favour_rate"])).fillna(0)
    decided = early.loc[kind.isin(["room_matched", "room_completed", "room_abandoned"]), "room_id"]
    rooms["has_matched"] = rooms.index.isin(events.loc[events["event_type"] == "room_matched", "room_id"]).astype(int)
    return rooms[~rooms.index.isin(decided)]


def bgnbd(past: pd.DataFrame, people: pd.DataFrame, days: int) -> np.ndarray:
    """The probability of no purchase in the next `days` by BG/NBD (Fader, Hardie and Lee 2005), fitted to `past`.

    Purchases are days bought on; x repeats, the last t days after the first, age days ago.
    """
    from scipy.optimize import minimize
    from scipy.special import gammaln

    def parts(frame: pd.DataFrame) -> tuple[np.ndarray, ...]:
        age = frame["tenure_days"].to_numpy(float) + 1
        return frame["days_bought"].to_numpy(float) - 1, age - 1 - frame["recency_days"].to_numpy(float), age

    def loss(logs: np.ndarray) -> float:
        (r, alpha, a, b), (x, last, age) = np.exp(logs), parts(past)
        shared = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
        shared += gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
        alive = -(r + x) * np.log(alpha + age)
        gone = np.log(a) - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + last)
        return -float(np.mean(shared + np.logaddexp(alive, np.where(x > 0, gone, -np.inf))))

    fitted = minimize(loss, np.log([0.5, 30.0, 0.5, 2.0]), method="Nelder-Mead", options={"maxiter": 2000})
    (r, alpha, a, b), (x, last, age) = np.exp(fitted.x), parts(people)
    odds = np.where(x > 0, a / (b + np.maximum(x, 1) - 1) * ((alpha + age) / (alpha + last)) ** (r + x), 0.0)
    silent = ((alpha + age) / (alpha + age + days)) ** (r + x)
    return 1 - (1 - silent) / (1 + odds)


def telco(data: Path) -> tuple[pd.DataFrame, pd.Series]:
    table = pd.read_csv(data / "telco-churn" / "Telco-Customer-Churn.csv.gz")
    labels = (table["Churn"] == "Yes").astype(int)
    charged = pd.to_numeric(table["TotalCharges"], errors="coerce").fillna(0.0)  # blank: nothing was charged yet
    table = table.drop(columns=["customerID", "Churn"]).assign(TotalCharges=charged)
    return pd.get_dummies(table, drop_first=True).astype(float), labels


def retail_lines(data: Path) -> pd.DataFrame:
    files = sorted((data / "online-retail" / "by-day").glob("*.csv.gz"))
    lines = pd.concat([pd.read_csv(path, parse_dates=["InvoiceDate"]) for path in files], ignore_index=True)
    lines = lines.dropna(subset="CustomerID")
    return lines.assign(day=lines["InvoiceDate"].dt.normalize(), amount=lines["Quantity"] * lines["UnitPrice"])


def retail_snapshot(lines: pd.DataFrame, cutoff: pd.Timestamp) -> tuple[pd.DataFrame, pd.Series]:
    """Customers who bought before `cutoff`, as they were then, and whether they bought nothing in the 90 days after."""
    bought = lines[(lines["Quantity"] > 0) & (lines["UnitPrice"] > 0)]
    before = bought[bought["InvoiceDate"] < cutoff]
    returned = lines[(lines["InvoiceDate"] < cutoff) & (lines["Quantity"] < 0)]
    people = before.groupby("CustomerID")
    days = before.groupby(["CustomerID", "day"])["amount"].sum().reset_index().sort_values(["CustomerID", "day"])
    age = (cutoff - days["day"]).dt.days
    gaps = days.groupby("CustomerID")["day"].diff().dt.days
    recency = (cutoff - people["day"].max()).dt.days
    features = pd.DataFrame(
        {
            "recency_days": recency,
            "tenure_days": (cutoff - people["day"].min()).dt.days,
            "days_bought": days.groupby("CustomerID").size(),
            "spent": people["amount"].sum(),
            "spent_a_day": days.groupby("CustomerID")["amount"].mean(),
            "products": people["StockCode"].nunique(),
            "lines": people.size(),
            "returned": -returned.groupby("CustomerID")["amount"].sum(),
            "mean_gap": gaps.groupby(days["CustomerID"]).mean(),
        }
    )
    for window in (30, 60, 90):
        recent = days[age <= window].groupby("CustomerID")
        features[f"days_bought_{window}"], features[f"spent_{window}"] = recent.size(), recent["amount"].sum()
    features = features.loc[recency.index]  # who only returned things is not asked about
    features = features.fillna({name: 0.0 for name in features if name != "mean_gap"})
    features["gaps_missed"] = features["recency_days"] / features["mean_gap"].clip(lower=1)
    after = bought[(bought["InvoiceDate"] >= cutoff) & (bought["InvoiceDate"] < cutoff + HORIZON)]
    labels = pd.Series(~features.index.isin(after["CustomerID"]), features.index).astype(int)
    return features.astype(float), labels


def oulad(data: Path) -> tuple[pd.DataFrame, pd.Series]:
    """Enrolments registered by day 0 and still so on day 60, with what was known on it, and whether they withdrew."""
    read = {path.name.split(".")[0]: path for path in (data / "oulad").iterdir()}
    tables = {name: _table(read[name]) for name in ("studentInfo", "studentRegistration", "studentAssessment")}
    assessments = _table(read["assessments"])
    key = ["code_module", "code_presentation", "id_student"]
    people = tables["studentInfo"].merge(tables["studentRegistration"], on=key)
    left = pd.to_numeric(people["date_unregistration"], errors="coerce")
    people = people[(people["date_registration"] <= 0) & ~(left <= OULAD_DAY)].reset_index(drop=True)
    done = tables["studentAssessment"].merge(assessments, on="id_assessment")
    done = done[(done["date_submitted"] <= OULAD_DAY) & (done["is_banked"] == 0)]
    due = assessments[pd.to_numeric(assessments["date"], errors="coerce") <= OULAD_DAY]
    late = pd.to_numeric(done["date_submitted"]) - pd.to_numeric(done["date"], errors="coerce")
    by = done.assign(late=late, weighted=done["score"] * done["weight"]).groupby(key)
    told = pd.DataFrame(
        {
            "submitted": by.size(),
            "mean_score": by["score"].mean(),
            "least_score": by["score"].min(),
            "last_score": by["score"].last(),
            "last_submitted": by["date_submitted"].max(),
            "mean_late": by["late"].mean(),
            "most_late": by["late"].max(),
        }
    ).reset_index()
    people = people.merge(told, on=key, how="left")
    expected = due.groupby(key[:2]).size().rename("due").reset_index()
    people = people.merge(expected, on=key[:2], how="left").fillna({"due": 0, "submitted": 0})
    people["missing"] = people["due"] - people["submitted"]
    static = ["gender", "region", "highest_education", "imd_band", "age_band", "disability"]
    chosen = ["num_of_prev_attempts", "studied_credits", "date_registration", "missing", "due", *told.columns[3:]]
    course = people["code_module"] + people["code_presentation"].str[-1]
    dummies = pd.get_dummies(people[static].assign(course=course), drop_first=True)
    features = pd.concat([people[chosen].apply(pd.to_numeric, errors="coerce"), dummies], axis=1).astype(float)
    return features, (people["final_result"] == "Withdrawn").astype(int)


def _table(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def _auc(labels: pd.Series, told: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, told))


def _row(name: str, measure: str, value: float, aim: str, published: str = "", note: str = "") -> dict:
    return {"set": name, "measure": measure, "value": value, "aim": aim, "published": published, "note": note}
