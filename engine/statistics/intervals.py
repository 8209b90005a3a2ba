"""Intervals of statistics by the bootstrap: percentiles over resamples drawn with replacement (Efron 1979).

A statistic is a function of whole blocks of resamples, so that a thousand of them cost a few array operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

BLOCK = 1 << 20  # values resampled in one go; no interval depends on it
Statistic = Callable[[Any], Any]
"""Of resamples [r, n, ...] their statistics [r] (or [r, k]): `lambda resamples: resamples.mean(axis=1)`."""


@dataclass(frozen=True)
class Interval:
    """A statistic of the values as they are, and the ends of its interval."""

    value: float
    low: float
    high: float


def bootstrap(
    values: np.ndarray, statistic: Statistic, *, seed: int, resamples: int = 1000, level: float = 0.95
) -> Interval:
    """The percentile interval of a statistic.

    A mean is `bootstrap(x, mean, seed=1)`, a difference of paired values `bootstrap(x - y, mean, seed=1)`. A statistic
    of rows that stand elsewhere takes `values = np.arange(n)`: its resamples are indices.

    Args:
        values: [n, ...]; what is drawn, with replacement, are its n entries.
        statistic: from resamples [r, n, ...] to [r].
        seed: the same seed gives the same resamples, whatever the statistic.
        resamples: how many are drawn.
        level: the share of the statistics that lies in the interval; as much is cut off below as above.

    Returns:
        The statistic of the values and its interval; all NaN without values. Resamples for which the statistic is
        undefined (NaN) are left out.
    """
    return bootstraps(values, lambda drawn: _one(statistic(drawn)), seed=seed, resamples=resamples, level=level)[0]


def bootstraps(
    values: np.ndarray, statistic: Statistic, *, seed: int, resamples: int = 1000, level: float = 0.95
) -> list[Interval]:
    """As `bootstrap`, of k statistics from the same resamples: `statistic` gives [r, k].

    Raises:
        ValueError: `level` is not between 0 and 1, or the statistic does not give a row for each resample.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, which is not between 0 and 1")
    values = np.asarray(values)
    own = _rows(statistic(values[None]), 1)[0]
    if len(values) == 0:
        return [Interval(np.nan, np.nan, np.nan)] * len(own)
    drawn = [_rows(statistic(values[index]), len(index)) for index in _resamples(len(values), resamples, seed)]
    return [percentiles(value, found, level) for value, found in zip(own, np.concatenate(drawn).T, strict=True)]


def mean(resamples: np.ndarray) -> np.ndarray:
    """The mean of each resample [r, n], float64 [r]; NaN where n is 0."""
    count = resamples.shape[1]
    means: np.ndarray = resamples.sum(axis=1, dtype=np.float64) / (count or np.nan)
    return means


def difference(
    values: np.ndarray, others: np.ndarray, *, seed: int, resamples: int = 1000, level: float = 0.95
) -> Interval:
    """The interval of `mean(values) - mean(others)` for two samples that are not paired, each resampled on its own."""
    parts = [np.asarray(values, np.float64), np.asarray(others, np.float64)]
    if not all(map(len, parts)):
        return Interval(np.nan, np.nan, np.nan)
    draws = []
    for part, own_seed in zip(parts, np.random.SeedSequence(seed).generate_state(2), strict=True):
        draws.append(np.concatenate([mean(part[i]) for i in _resamples(len(part), resamples, int(own_seed))]))
    return percentiles(parts[0].mean() - parts[1].mean(), draws[0] - draws[1], level)


def percentiles(value: float, resampled: np.ndarray, level: float) -> Interval:
    """The interval that holds the middle `level` of what resamples gave, [r]; NaN among them are left out."""
    defined = resampled[~np.isnan(resampled)]
    if not len(defined):
        return Interval(float(value), np.nan, np.nan)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))


def _resamples(n: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Indices into n values, int [r, n], in blocks that together hold so many resamples."""
    rng = np.random.default_rng(seed)
    at_once = max(BLOCK // n, 1)
    for start in range(0, resamples, at_once):
        yield rng.integers(n, size=(min(at_once, resamples - start), n))


def _one(found: np.ndarray) -> np.ndarray:
    return np.asarray(found)[..., None]


def _rows(found: np.ndarray, expected: int) -> np.ndarray:
    """Statistics as float64 [r, k], if there is a row for each resample."""
    rows = np.asarray(found, np.float64)
    if rows.ndim != 2 or len(rows) != expected:
        raise ValueError("a statistic gives one value for each resample: reduce along axis 1, not over everything")
    return rows
