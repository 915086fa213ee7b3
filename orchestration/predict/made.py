"""What a model said, on its way from where it was computed to where it is written."""

from typing import NamedTuple


class Made(NamedTuple):
    """Rows of one model, without mark and time; or in one sentence why there are none."""

    name: str
    model_id: str | None = None
    rows: tuple[tuple, ...] = ()
    reason: str | None = None
