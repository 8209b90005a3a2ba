"""How a budget of rows or tokens is divided among groups: in proportion, in whole numbers, within each group's bounds.

Which rows a group then gives is up to the operators.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from engine.errors import SetwrightError

DIGITS = 9
"""Remainders are compared to so many decimals: what differs further down is rounding, and is a tie."""


def tempered(sizes: np.ndarray, alpha: float) -> np.ndarray:
    """The weights size^alpha of groups, float64 [g]: 0 makes all groups equal, 1 keeps their proportions.

    An empty group weighs nothing, whatever alpha is.
    """
    weights: np.ndarray = np.where(sizes > 0, np.power(np.maximum(sizes, 1), alpha, dtype=np.float64), 0)
    return weights


def quotas(budget: int, weights: np.ndarray, room: np.ndarray, least: int = 0) -> np.ndarray:
    """Divides a budget in proportion to weights; what a group has no room for goes to the others, again in proportion.

    The division is that of real numbers, each held between its bounds, rounded once by largest remainders (Hamilton):
    every group gets the whole part of its quota, and one more goes to those with the largest fractions, of equal ones
    to the first.

    Args:
        budget: what there is to divide, 0 or more.
        weights: [g], 0 or more; a group of weight 0 gets nothing.
        room: int [g], what each group can take at most.
        least: what each group of any weight gets at least, or its room where that is less.

    Returns:
        int64 [g]. The sum is the budget, or all the room of the groups with a weight where that is less.

    Raises:
        SetwrightError: the minima alone are more than the budget.
    """
    counted = weights > 0
    high = room[counted].astype(np.int64)
    low = np.minimum(least, high)
    total = min(budget, int(high.sum()))
    if low.sum() > total:
        raise SetwrightError(
            f"{np.count_nonzero(low)} groups of at least {least} need {low.sum()}, and the budget is {budget}",
            cure="lower the minimum, or raise the budget",
        )
    given = np.zeros(len(weights), np.int64)
    given[counted] = _rounded(_level(total, weights[counted], low, high), total, high)
    return given


def _level(total: int, weights: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """`clip(level * weights, low, high)` at the level where the sum is the total, float64 [g].

    The sum grows with the level along straight lines, which bend where a group leaves its lower or reaches its upper
    bound. The bends are searched for the two that enclose the total; between them it is known who is at a bound.
    """
    starts, ends = low / weights, high / weights
    bends = np.unique(np.concatenate([starts, ends]))
    at = bisect_left(bends, total, key=lambda level: np.clip(level * weights, low, high).sum())
    if at in (0, len(bends)):  # the minima alone, or all the room that there is
        bounds: np.ndarray = low if at == 0 else high
        return bounds.astype(np.float64)
    free = (starts < bends[at]) & (ends >= bends[at])
    fixed = np.where(ends < bends[at], high, low)
    rest = total - fixed[~free].sum()
    level: np.ndarray = np.where(free, np.clip(rest * weights / weights[free].sum(), low, high), fixed)
    return level


def _rounded(ideal: np.ndarray, total: int, high: np.ndarray) -> np.ndarray:
    """Whole numbers that sum to the total, each one of the two next to the ideal."""
    whole = np.floor(np.round(ideal, DIGITS)).astype(np.int64)
    remainders = np.where(whole < high, np.round(ideal - whole, DIGITS), -1)
    spare = total - int(whole.sum())
    whole[np.argsort(-remainders, kind="stable")[:spare]] += 1
    return whole
