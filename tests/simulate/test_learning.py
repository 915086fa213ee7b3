"""Who counts as struggling."""

import numpy as np

from orchestration.simulate.learning import struggling
from orchestration.simulate.table import Table


def test_struggling_means_the_last_five_or_at_least_three_are_all_below_sixty():
    scores = {
        0: [90, 50, 50, 50, 50, 50],  # the last five are below
        1: [70, 50, 50, 50, 50],  # one of the last five is not
        2: [10, 10],  # too few to say
        3: [59, 59, 59],
        4: [59, 59, 60],
    }
    user = np.repeat(list(scores), [len(known) for known in scores.values()])
    score = np.concatenate(list(scores.values()))
    shuffled = np.random.default_rng(1).permutation(len(user))
    table = Table("lesson_completed", np.arange(len(user)), user, None, {"score": score}).rows(shuffled)
    assert struggling(table).tolist() == [0, 3]
