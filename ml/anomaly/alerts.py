"""When something is told: once, and again only after a rest. How unusual a point is, is not decided here."""

import numpy as np


def alerts(is_out: np.ndarray, rest: int) -> np.ndarray:
    """The first point that is out and those right after it; then none until `rest` steps after the first."""
    told = np.zeros(len(is_out), dtype=bool)
    armed_from = 0
    for place in np.flatnonzero(is_out):
        is_continued = place > 0 and told[place - 1]
        if is_continued or place >= armed_from:
            told[place] = True
            armed_from = armed_from if is_continued else place + rest
    return told
