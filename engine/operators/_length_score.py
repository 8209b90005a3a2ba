"""The length score S_l of LongBench-Write, which `score:` and `select: length_following` share.

Bai et al., "LongWriter" (arXiv 2408.07055, section 4.1). How lengths are read and counted is the scorer's business.
"""

from __future__ import annotations

import numpy as np


def length_score(required: np.ndarray, produced: np.ndarray) -> np.ndarray:
    """How well a text keeps to the length that was asked for, float64 [n] in [0, 100].

    With x asked for and y written: 100 * max(0, 1 - (y/x - 1)/3) where y > x, else 100 * max(0, 1 - (x/y - 1)/2). It is
    0 from four times the length on, and down from a third of it; nothing written scores 0. Where nothing is asked
    for (x = 0) there is no score: NaN. The operations stand in the order of the published code, so that a score at a
    threshold falls to the same side of it.

    Args:
        required: [n] words or characters asked for.
        produced: [n] words or characters written.
    """
    x, y = np.asarray(required, np.float64), np.asarray(produced, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where(y > x, 1.0 - (y / x - 1) / 3, 1.0 - (x / y - 1) / 2)
    return np.where(x > 0, 100 * np.maximum(0, score), np.nan)
