"""How much data is enough: the law R(x) = r - (r - a) exp(-b x), fitted to what was measured.

Khera et al., "Efficient Alignment of Large Language Models via Data Sampling" (arXiv 2411.10545): the quality of an
aligned model against the share x of the data that it was aligned with. Where the points come from is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import SetwrightError
from engine.statistics.intervals import Interval, percentiles

FLATTEST, STEEPEST = 0.01, 50.0  # b x at the largest share, and at the smallest above 0: beyond, b can't be told
GRID = 200
GOLDEN = (5**0.5 - 1) / 2
STEPS = 60  # of the golden section: the bracket shrinks to 1e-12 of itself
MISS = 0.15  # of the rise between the points: a point that is farther from the curve is worth a word
PARAMETERS = 3


@dataclass(frozen=True)
class Plateau:
    """The law with its parameters, x in the unit of the points that it was fitted to.

    Attributes:
        r: the quality that more and more data leads to, at least a.
        a: the quality without any, at least 0.
        b: how fast, per unit of x; positive.
    """

    r: float
    a: float
    b: float

    def at(self, x: ArrayLike) -> np.ndarray:
        """The quality at shares [n], float64 [n]."""
        found: np.ndarray = self.r - (self.r - self.a) * np.exp(-self.b * np.asarray(x, np.float64))
        return found

    def enough(self, part: float) -> float:
        """The smallest share that leads to this part of r (0.95 of it, say)."""
        return float(_enough(np.array([self.r, self.a, self.b]), part))


def fit(x: np.ndarray, y: np.ndarray) -> Plateau:
    """The law with the least squares of residuals, under 0 <= a <= r and b > 0.

    For a given b the law is linear in a and r - a, so that b alone is searched for: over a grid, which finds the best
    of several minima, and by golden section from there. The paper seems to take r and a from the best point and from
    the unaligned model, and to fit only b; here all three are fitted.

    Args:
        x: [n] shares, at least 0; several points may have the same one.
        y: [n] qualities.

    Raises:
        SetwrightError: there are fewer than three different shares, or a value that is no share or no number.
    """
    x, y = _points(x, y)
    r, a, b = map(float, _fits(x, y[None])[0])
    return Plateau(r, a, b)


def intervals(
    law: Plateau, x: np.ndarray, y: np.ndarray, part: float, *, seed: int, resamples: int = 1000, level: float = 0.95
) -> dict[str, Interval]:
    """Intervals of `r`, `a`, `b` and of the share that is `enough` for a part of r, by the parametric bootstrap.

    To the fitted curve is added noise of the size of the residuals, and that size is itself drawn (chi-squared, with
    three degrees of freedom fewer than points). On six points of the published curves such intervals hold the truth 19
    times in 20, those of resampled residuals three times in four. Three points leave no residuals: no ends, but NaN.
    """
    x, y = _points(x, y)
    own = {"r": law.r, "a": law.a, "b": law.b, "enough": law.enough(part)}
    freedom = len(x) - PARAMETERS
    if freedom == 0:
        return {name: Interval(value, np.nan, np.nan) for name, value in own.items()}
    rng = np.random.default_rng(seed)
    curve = law.at(x)
    size = np.sqrt(np.sum((y - curve) ** 2) / rng.chisquare(freedom, resamples))
    found = _fits(x, curve + size[:, None] * rng.standard_normal((resamples, len(x))))
    columns = [*found.T, _enough(found, part)]
    return {name: percentiles(own[name], column, level) for name, column in zip(own, columns, strict=True)}


def doubts(law: Plateau, x: np.ndarray, y: np.ndarray, part: float) -> Iterator[str]:
    """What speaks against reading much into the fit, one sentence each."""
    x, y = _points(x, y)
    if law.r == law.a:
        yield "the quality does not rise with the share: the curve is flat"
        return
    away, rise = np.abs(y - law.at(x)), np.ptp(y)
    for i in np.flatnonzero(away > MISS * rise):
        yield f"the law misses the point at {x[i]:g} by {away[i]:.3g}, of a rise of {rise:.3g} in all"
    if law.b * x.max() < 2 * FLATTEST:
        yield "the points rise as on a straight line: they show no plateau, and r stands for nothing"
    elif law.b * x[x > 0].min() > STEEPEST / 2:
        yield "the plateau is reached before the smallest share: b is a lower bound"
    if law.enough(part) > x.max():
        yield f"the share for {part:g} of r lies beyond the largest one, {x.max():g}, where nothing was measured"


def _points(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    bad = np.flatnonzero(~(np.isfinite(x) & np.isfinite(y) & (x >= 0)))
    if len(bad):
        raise SetwrightError(
            f"the point ({x[bad[0]]:g}, {y[bad[0]]:g}) is not a share of at least 0 with a finite quality",
            cure="leave it out of the query: WHERE isfinite(quality) AND share >= 0",
        )
    if len(np.unique(x)) < PARAMETERS:
        raise SetwrightError(
            f"{len(np.unique(x))} different shares can't tell the three parameters of the law",
            cure="measure at three shares at least, better at six: 0 (not aligned), a few small ones, and all",
        )
    return x, y


def _enough(laws: np.ndarray, part: float) -> np.ndarray:
    """The share with R = part * r, from parameters [..., 3]; 0 where a is as much already."""
    r, a, b = np.moveaxis(laws, -1, 0)
    open_part = np.maximum(r - a, 0) / np.where(r > 0, r * (1 - part), 1)
    found: np.ndarray = np.log(np.maximum(open_part, 1)) / b
    return found


def _fits(x: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """The parameters (r, a, b) of each of m curves through the same shares, float64 [m, 3].

    Args:
        x: float64 [n].
        ys: float64 [m, n].
    """
    grid = np.linspace(np.log(FLATTEST / x.max()), np.log(STEEPEST / x[x > 0].min()), GRID)
    coarse = np.stack([_given_b(x, ys, b)[2] for b in np.exp(grid)[:, None]])  # [GRID, m]
    at = coarse.argmin(axis=0)
    low, high = grid[np.maximum(at - 1, 0)], grid[np.minimum(at + 1, GRID - 1)]
    for _ in range(STEPS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        lower = _given_b(x, ys, np.exp(left))[2] <= _given_b(x, ys, np.exp(right))[2]
        low, high = np.where(lower, low, left), np.where(lower, right, high)
    b = np.exp((low + high) / 2)
    a, rise, _ = _given_b(x, ys, b)
    return np.stack([a + rise, a, b], axis=1)


def _given_b(x: np.ndarray, ys: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best a >= 0 and r - a >= 0 for b [m or 1], and the sum of squares that they leave: float64 [m] each.

    Of two unknowns with bounds at 0, the free solution is best where it is allowed, else the best on the bound that
    it breaks. A curve that would fall is flat.
    """
    share = -np.expm1(-b[:, None] * x)  # 1 - exp(-b x), the part of the rise that is done at x
    n, s, ss = len(x), share.sum(axis=1), (share**2).sum(axis=1)
    y, sy = ys.sum(axis=1), (share * ys).sum(axis=1)
    spread = n * ss - s**2
    rise = np.where(spread > 0, n * sy - s * y, 0) / np.where(spread > 0, spread, 1)
    a = (y - s * rise) / n
    flat = (rise <= 0) & (y >= 0)
    from_nothing = ~flat & ((a < 0) | (rise < 0))
    rise = np.where(flat, 0, np.where(from_nothing, sy.clip(0) / ss, rise))
    a = np.where(flat, y / n, np.where(from_nothing, 0, a))
    left = ((ys - a[:, None] - rise[:, None] * share) ** 2).sum(axis=1)
    return a, rise, left
