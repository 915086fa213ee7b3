"""What a model learned or said, on its way from where it was computed to where it is written."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ml.drift import Histogram
    from ml.promotion import Comparison
    from orchestration.predict.registry import Metrics


class Challenger(NamedTuple):
    """What was learned: its artefact, its scores out of sample, its losses beside those of the model in service.

    `reference` are histograms of what it learned from.
    """

    artefact: bytes
    metrics: "Metrics"
    against: "Comparison | None" = None
    reference: "dict[str, Histogram] | None" = None


class Lesson(NamedTuple):
    """What a model is to be learned from, or in one sentence why it cannot be.

    `learn` takes the artefact in service, if one is there and whole, and gives a challenger, or why there is none. It
    is pure, and goes to another process with all that is bound to it.
    """

    name: str
    learn: Callable[[bytes | None], Challenger | str] | None = None
    data_hash: str = ""
    parameters: dict | None = None
    reason: str | None = None


class Made(NamedTuple):
    """Rows of one model, without mark and time; or in one sentence why there are none."""

    name: str
    model_id: str | None = None
    rows: tuple[tuple, ...] = ()
    reason: str | None = None
