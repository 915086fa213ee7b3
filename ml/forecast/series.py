"""Series as the members see them: checked, on a full grid, on the clock that their seasons follow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

# Steps in one season, by pandas' name of the frequency without its anchor, and in the longer one above it.
SEASONS = {"h": 24, "D": 7, "W": 52, "MS": 12, "ME": 12, "QS": 4, "QE": 4, "YS": 1, "YE": 1}
LONG_SEASONS = {24: 168, 7: 364}
LARGEST = 1e15
EARLIEST, LATEST = pd.Timestamp("1900-01-01"), pd.Timestamp("2200-01-01")


@dataclass(frozen=True)
class Series:
    """One series on its full grid: `y` is nan where nothing was observed.

    `known` holds what is known of the future too, a column each: holidays and announced events, over the grid and the
    horizon after it.
    """

    unique_id: str
    ds: pd.DatetimeIndex
    y: np.ndarray
    season: int
    known: np.ndarray

    def until(self, origin: int) -> "Series":
        """What could be seen at that step; of the future only what is known ahead."""
        return replace(self, ds=self.ds[:origin], y=self.y[:origin])

    @property
    def is_short(self) -> bool:
        return np.count_nonzero(~np.isnan(self.y)) < max(2 * self.season, 4)

    @property
    def is_nonnegative(self) -> bool:
        return bool(np.nanmin(self.y) >= 0)

    def steps_after(self, horizon: int) -> pd.DatetimeIndex:
        return pd.date_range(self.ds[-1], periods=horizon + 1, freq=self.ds.freq)[1:]


def check_request(horizon: int, levels: Sequence[int]) -> None:
    if horizon < 1:
        raise ValueError(f"The horizon is {horizon}: ask for at least one step.")
    if wrong := [level for level in levels if not 0 < level < 100]:
        raise ValueError(f"The level {wrong[0]} is not a percentage between 0 and 100: ask for 80 or 95.")


def split(series: pd.DataFrame, freq: str) -> list[Series]:
    """Check ranges, which Prophet does not, and put each series on its full grid. Raises ValueError."""
    if missing := {"unique_id", "ds", "y"} - set(series.columns):
        raise ValueError(f"The series frame has no column {sorted(missing)[0]}: it needs unique_id, ds and y.")
    frame = series[["unique_id", "ds", "y"]].assign(ds=wall_clock(series["ds"]), y=series["y"].astype(float))
    size = np.abs(frame["y"].to_numpy())
    if np.nanmax(size, initial=0.0) > LARGEST:
        raise ValueError(f"y reaches {np.nanmax(size):g}, beyond ±{LARGEST:g}: correct it or pass it in a larger unit.")
    if frame["ds"].isna().any() or (len(frame) and not frame["ds"].between(EARLIEST, LATEST).all()):
        raise ValueError(f"ds holds times outside {EARLIEST:%Y} to {LATEST:%Y}: correct or leave out those rows.")
    if (is_double := series.duplicated(["unique_id", "ds"])).any():
        double = series[is_double].iloc[0]
        raise ValueError(f"Series {double.unique_id} has {double.ds} twice: aggregate it first.")
    if zone(series) is not None:  # the hour that comes twice when clocks go back is one place in the day
        frame = frame.groupby(["unique_id", "ds"], as_index=False)["y"].mean()
    season = season_of(freq)
    return [_regular(str(name), one, freq, season) for name, one in frame.groupby("unique_id", sort=True)]


def zone(series: pd.DataFrame):
    """The time zone that ds carries, or None."""
    return getattr(series["ds"].dtype, "tz", None)


def wall_clock(ds: pd.Series) -> pd.Series:
    """Times as the clock on the wall shows them, to the full hour where that clock goes by half hours."""
    ds = pd.to_datetime(ds)
    return ds if getattr(ds.dtype, "tz", None) is None else ds.dt.tz_localize(None)


def filled(y: np.ndarray, season: int) -> np.ndarray:
    """Gaps closed with the mean of the nearest known values of the same place in the season, before and after."""
    if not np.isnan(y).any():
        return y
    pad = -len(y) % season
    slots = np.concatenate([y, np.full(pad, np.nan)]).reshape(-1, season)
    table = pd.DataFrame(slots)
    around = np.nanmean(
        np.stack(
            [
                table.ffill().to_numpy(),
                table.bfill().to_numpy(),
            ]
        ),
        axis=0,
    )
    around = around.ravel()[: len(y)]
    around = np.where(np.isnan(around), np.nanmedian(y), around)
    return np.where(np.isnan(y), around, y)


def season_of(freq: str) -> int:
    """Steps in one season. Raises ValueError for a frequency that is not known here."""
    offset = pd.tseries.frequencies.to_offset(freq)
    season = SEASONS.get(offset.rule_code.split("-")[0])
    if season is None or offset.n != 1:
        raise ValueError(f"The frequency {freq!r} is not known here: use one of {', '.join(SEASONS)}.")
    return season


def _regular(unique_id: str, frame: pd.DataFrame, freq: str, season: int) -> Series:
    observed = frame.loc[frame["y"].notna(), "ds"]
    if len(observed) < 2:
        raise ValueError(f"Series {unique_id} has {len(observed)} observed values: a forecast needs at least two.")
    grid = pd.date_range(observed.min(), frame["ds"].max(), freq=freq)
    if not observed.isin(grid).all():
        raise ValueError(f"Series {unique_id} has times that are no steps of {freq!r}: round or aggregate them first.")
    y = frame.set_index("ds")["y"].reindex(grid).to_numpy()
    return Series(unique_id, grid, y, season if len(grid) >= 2 * season else 1, np.zeros((len(grid), 0)))
