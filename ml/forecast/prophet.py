"""Prophet as one member: fitted side by side, and only where a quick likeness of it says that it has a chance."""

import logging
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ml.forecast.series import Series

if TYPE_CHECKING:
    from prophet import Prophet


def fit_all(pasts: Sequence[Series]) -> list["Prophet"]:
    """A fitted model for each series, in order; Stan works in processes of its own, so that threads suffice."""
    if not pasts:
        return []
    quiet_import()  # before the threads do, all at once
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(_fit, pasts))


def continue_model(model: "Prophet", ds: pd.DatetimeIndex) -> np.ndarray:
    return model.predict(pd.DataFrame({"ds": ds}))["yhat"].to_numpy()


def dumps(model: "Prophet") -> str:
    """Prophet's own JSON."""
    quiet_import()
    from prophet.serialize import model_to_json

    return model_to_json(model)


def loads(text: str) -> "Prophet":
    quiet_import()
    from prophet.serialize import model_from_json

    return model_from_json(text)


def quiet_import() -> None:
    logging.getLogger("prophet").setLevel(logging.CRITICAL)  # that plotting extras are missing is nobody's news
    logging.getLogger("cmdstanpy").disabled = True  # what goes wrong is raised
    import prophet  # noqa: F401

    logging.getLogger("prophet").setLevel(logging.CRITICAL)  # its import has set it anew


def _fit(past: Series) -> "Prophet":
    from prophet import Prophet

    model = Prophet(uncertainty_samples=0)  # intervals are calibrated on past errors; Prophet's own are too narrow
    # Below 100 points Prophet takes Newton's method by default: the same fit, several times slower.
    with tempfile.TemporaryDirectory(prefix="tidemark-prophet-") as scratch:
        model.fit(pd.DataFrame({"ds": past.ds, "y": past.y}), output_dir=scratch, seed=0, algorithm="LBFGS")
    model.fit_kwargs = {}  # names the scratch folder: the same data must give the same JSON
    return model
