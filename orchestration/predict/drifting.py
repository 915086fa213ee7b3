"""What a model's inputs and scores looked like when it learned, and how far the present ones are from that."""

from typing import TYPE_CHECKING

from orchestration.predict.registry import Model

if TYPE_CHECKING:
    import pandas as pd

    from ml.drift import Histogram

COLUMNS = ("model_id", "load_id", "input", "n", "psi", "shift", "is_drift")


def reference(frame: "pd.DataFrame") -> "dict[str, Histogram]":
    """A histogram of each column: inputs, and what the model said as `score`. No person can be told from it."""
    from ml import drift

    return {name: drift.histogram(frame[name].to_numpy(float)) for name in frame}


def compare(model: Model, frame: "pd.DataFrame", load_id: int) -> list[tuple]:
    """Rows of ml.drift: each column beside what the model learned from."""
    from ml import drift

    rows = []
    for name, learned in model.reference.items():
        found = drift.drift(learned, frame[name].to_numpy(float))
        rows.append((model.model_id, load_id, name, found.n, found.psi, found.shift, found.is_drift))
    return rows
