"""How far two judgements of the same things agree, and what many comparisons of pairs say of each thing.

Correlations of ranks, agreement of labels, the Bradley-Terry model and win rates, on NumPy arrays. Agreement of two
orders as a common sub-sequence is `agreement`'s business, intervals are that of `intervals`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

STEPS = 10_000  # of the fit at most; well connected comparisons take some dozens
CLOSE = 1e-10  # the largest change of a log-strength in a step that ends the fit


def average_ranks(values: ArrayLike) -> np.ndarray:
    """Ranks from 1 for the smallest value, float64 [n]; equal values share the mean of their places."""
    _, group, sizes = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    ranks: np.ndarray = (last - (sizes - 1) / 2)[group]
    return ranks


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's correlation: Pearson's of the average ranks. NaN where one side is constant or there are no two.

    Raises:
        ValueError: the lengths differ, or a value is NaN.
    """
    middle = (len(np.asarray(first)) + 1) / 2  # the mean of all ranks, whatever is tied
    one, other = (average_ranks(values) - middle for values in _pair(first, second))
    spread = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / spread if spread else np.nan


def kendall(first: ArrayLike, second: ArrayLike) -> float:
    """Kendall's tau-b, exact also with ties, in O(n log n) (Knight 1966). NaN where one side is constant.

    (concordant - discordant) / sqrt(pairs not tied in `first` * pairs not tied in `second`). The share of pairs in
    which two orders without ties differ is (1 - tau) / 2.

    Raises:
        ValueError: the lengths differ, or a value is NaN.
    """
    x, y = (np.unique(values, return_inverse=True)[1] for values in _pair(first, second))
    pairs = len(x) * (len(x) - 1) // 2
    tied_x, tied_y, tied_both = _tied(x), _tied(y), _tied(x * (len(y) + 1) + y)
    discordant = _inversions(y[np.lexsort((y, x))])
    untied = float(pairs - tied_x) * float(pairs - tied_y)
    return (pairs - tied_x - tied_y + tied_both - 2 * discordant) / np.sqrt(untied) if untied else np.nan


def agreement_rate(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """The share of equal labels along the last axis: of [n] a number, of resamples [r, n] one for each. NaN of none."""
    same = np.asarray(first) == np.asarray(second)
    rate: np.ndarray = same.sum(axis=-1) / (same.shape[-1] or np.nan)
    return rate


def cohen_kappa(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """Cohen's kappa along the last axis: agreement beyond what two raters with these shares of labels have by chance.

    (agreement - chance) / (1 - chance) (Cohen 1960). NaN where chance alone gives full agreement: both always say the
    same one thing.
    """
    one, other = np.asarray(first), np.asarray(second)
    labels = np.unique(np.concatenate([one.ravel(), other.ravel()]))
    n = one.shape[-1] or np.nan
    chance = sum(((one == label).sum(axis=-1) / n) * ((other == label).sum(axis=-1) / n) for label in labels)
    beyond = 1 - np.asarray(chance, np.float64)
    kappa: np.ndarray = (agreement_rate(one, other) - chance) / np.where(np.abs(beyond) < 1e-12, np.nan, beyond)
    return kappa


def win_rate(outcomes: ArrayLike) -> np.ndarray:
    """The share of comparisons won, a tie as half a win, along the last axis; outcomes are 1, 0 (tie) and -1.

    The net win rate, wins less losses over all, is the outcomes' mean: twice the win rate less one.
    """
    outcomes = np.asarray(outcomes, np.float64)
    rate: np.ndarray = (1 + outcomes.sum(axis=-1) / (outcomes.shape[-1] or np.nan)) / 2
    return rate


def gap_recovered(weak: float, student: float, strong: float) -> float:
    """Performance gap recovered (Burns et al., arXiv 2312.09390, section 3): 0 as the weak model, 1 as the strong one.

    (student - weak) / (strong - weak); NaN where there is no gap.
    """
    return (student - weak) / (strong - weak) if strong != weak else np.nan


def bradley_terry(wins: ArrayLike) -> np.ndarray:
    """Log-strengths by which i beats j with probability sigmoid(s_i - s_j), of the greatest likelihood.

    The fit is the MM algorithm (Hunter 2004, Annals of Statistics 32). What has only won against the others
    is at +inf, what has only lost at -inf; the finite strengths have the mean 0.

    Args:
        wins: [k, k], how often i beat j; a tie is half a win for both. Shares of wins times numbers of comparisons
            will do.

    Returns:
        float64 [k]; NaN for what was compared with none of the others, or with none but those at infinity.

    Raises:
        ValueError: the comparisons don't say how some of the things compare with the others, even by way of third ones.
    """
    wins = np.asarray(wins, np.float64)
    wins = np.where(np.eye(len(wins), dtype=bool), 0, wins)
    strengths = np.full(len(wins), np.nan)
    left = np.flatnonzero(wins.sum(axis=0) + wins.sum(axis=1) > 0)
    while len(left):
        among = wins[np.ix_(left, left)]
        won, lost = (among.sum(axis=axis) > 0 for axis in (1, 0))
        if (won & lost).all():
            strengths[left] = _fit(among)
            break
        alone = 0.0 if len(left) == 1 else np.nan
        strengths[left] = np.where(won == lost, alone, np.where(won, np.inf, -np.inf))
        left = left[won & lost]
    return strengths


def _fit(wins: np.ndarray) -> np.ndarray:
    """Finite log-strengths of things each of which has won and lost."""
    if not _connected(wins):
        raise ValueError("there are groups between which no comparison was lost, or none was made: give more of them")
    won, played = wins.sum(axis=1), wins + wins.T
    log = np.zeros(len(wins))
    for _ in range(STEPS):
        strength = np.exp(log)
        new = np.log(won / (played / (strength[:, None] + strength)).sum(axis=1))
        new -= new.mean()
        moved, log = np.abs(new - log).max(), new
        if moved < CLOSE:
            break
    return log


def _connected(wins: np.ndarray) -> bool:
    """Whether there is a chain of wins from each to each."""
    reached = (wins > 0) | np.eye(len(wins), dtype=bool)
    for _ in range(len(wins).bit_length()):
        reached = (reached.astype(np.float32) @ reached.astype(np.float32)) > 0
    return bool(reached.all())


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    one, other = np.asarray(first), np.asarray(second)
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"the values to compare are {one.shape} and {other.shape}, not two lists of one length")
    if any(values.dtype.kind == "f" and np.isnan(values).any() for values in (one, other)):
        raise ValueError("a value is NaN, which has no rank: leave such pairs out")
    return one, other


def _tied(groups: np.ndarray) -> int:
    """The pairs of equal values."""
    sizes = np.unique(groups, return_counts=True)[1]
    return int((sizes * (sizes - 1) // 2).sum())


def _inversions(values: np.ndarray) -> int:
    """Pairs i < j with values[i] > values[j], of integers from 0: bit by bit, from the highest one down.

    Values that agree in the bits above are a group, in their first order. A pair of a group is inverted if a 1 stands
    before a 0; then the group is split by the bit.
    """
    found = 0
    for bit in reversed(range(int(values.max(initial=0)).bit_length())):
        ones = (values >> bit) & 1
        group = values >> (bit + 1)
        first = np.searchsorted(group, group)  # groups stand in their order
        before = np.concatenate([[0], np.cumsum(ones)])
        found += int((before[:-1] - before[first])[ones == 0].sum())
        values = values[np.argsort(values >> bit, kind="stable")]
    return found
