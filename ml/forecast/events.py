"""What is known ahead: public holidays and announced events, and what they did to a series before."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ml.forecast.series import Series, wall_clock

SHRINKAGE = 1.0  # an effect is drawn towards none as by so many occasions without any
SEASONS_AROUND = 4  # a usual value is the median of the same place so many seasons before and after
LEAST, MOST = 0.05, 20.0  # the smallest and the largest factor that an event is believed to have


@dataclass(frozen=True)
class Effect:
    """What the known events do over the horizon: a factor on series never negative, else a distance."""

    future: np.ndarray
    is_factor: bool

    def put_back(self, path: np.ndarray) -> np.ndarray:
        return path * self.future if self.is_factor else path + self.future


def attach(many: list[Series], horizon: int, country: str | None, announced: pd.DataFrame | None) -> list[Series]:
    """The series with a column for each holiday of `country` and each column of `announced`, horizon included.

    `announced` has ds, maybe unique_id (else it is for all), and a number for each kind of event: 1 for "takes place",
    or a size such as a discount. Times it does not list have none. Holidays are for series by the hour and the day.
    """
    if announced is not None:
        _check(announced)
    return [replace(one, known=_known(one, horizon, country, announced)) for one in many]


def taken_out(past: Series, horizon: int) -> tuple[Series, Effect]:
    """The series as it would have been without the events, and what they will do over the `horizon` after it."""
    is_factor = past.is_nonnegative
    origin = len(past.y)
    known = past.known[: origin + horizon]
    none = np.ones(horizon) if is_factor else np.zeros(horizon)
    happened = known[:origin].any(axis=1)
    if not happened.any():
        return past, Effect(none, is_factor)
    usual = _usual(np.where(happened, np.nan, past.y), past.season)
    deviation = past.y / np.where(usual > 0, usual, np.nan) - 1 if is_factor else past.y - usual
    is_told = happened & ~np.isnan(deviation)
    x = known[:origin][is_told]
    ridge = x.T @ x + SHRINKAGE * np.eye(x.shape[1]) * np.square(np.abs(known).max(axis=0))
    effects = np.linalg.lstsq(ridge, x.T @ deviation[is_told], rcond=None)[0]
    change = known @ effects
    if is_factor:
        change = np.clip(1 + change, LEAST, MOST)
        return replace(past, y=past.y / change[:origin]), Effect(change[origin:], True)
    return replace(past, y=past.y - change[:origin]), Effect(change[origin:], False)


def _check(announced: pd.DataFrame) -> None:
    if "ds" not in announced:
        raise ValueError("The events frame has no column ds: it needs ds and a number for each kind of event.")
    for column in announced.columns.difference(["unique_id", "ds"]):
        if not np.isfinite(announced[column].to_numpy(float)).all():
            raise ValueError(f"Events column {column} holds values that are no finite numbers: leave out those rows.")


def _known(one: Series, horizon: int, country: str | None, announced: pd.DataFrame | None) -> np.ndarray:
    ds = one.ds.append(one.steps_after(horizon))
    columns = []
    if country and one.ds.freq.rule_code in ("h", "D"):
        columns += _holidays(ds, country)
    if announced is not None:
        own = announced
        if "unique_id" in announced:
            own = announced[announced["unique_id"].astype(str) == one.unique_id].drop(columns="unique_id")
        table = own.assign(ds=wall_clock(own["ds"])).groupby("ds").max().reindex(ds).fillna(0.0)
        columns += [table[column].to_numpy(float) for column in table]
    return np.stack(columns, axis=1) if columns else np.zeros((len(ds), 0))


def _holidays(ds: pd.DatetimeIndex, country: str) -> list[np.ndarray]:
    """One column for any holiday and one for each by name: a new or rare one is expected to be like the others."""
    import holidays

    try:
        calendar = holidays.country_holidays(country, years=range(ds[0].year, ds[-1].year + 1))
    except NotImplementedError:
        raise ValueError(f"Holidays of {country!r} are not known: name a country by its ISO 3166 code.") from None
    days = pd.Series(ds.date).map(lambda day: calendar.get(day, "")).to_numpy()
    names = sorted(set(days) - {""})
    return [(days != "").astype(float), *((days == name).astype(float) for name in names)] if names else []


def _usual(y: np.ndarray, season: int) -> np.ndarray:
    around = [shift * season for shift in range(-SEASONS_AROUND, SEASONS_AROUND + 1) if shift]
    padded = np.concatenate([np.full(SEASONS_AROUND * season, np.nan), y, np.full(SEASONS_AROUND * season, np.nan)])
    near = np.stack([padded[SEASONS_AROUND * season + shift :][: len(y)] for shift in around])
    return pd.DataFrame(near).median().to_numpy()  # of the known ones
