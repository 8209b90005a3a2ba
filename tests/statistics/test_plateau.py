import math

import numpy as np
import pytest

from engine.errors import SetwrightError
from engine.statistics.plateau import Plateau, doubts, fit, intervals

X = np.array([0.0, 10, 25, 50, 75, 100])
PUBLISHED = {"hh": (83.1681, 18.2681, 0.3), "oasst": (24.6601, 8.4452, 0.02), "uf": (27.4849, 7.6038, 0.055)}
MEASURED = {
    "hh": [18.27, 78.73, 81.32, 81.60, 83.17, 82.71],
    "oasst": [8.45, 15.23, 10.42, 17.51, 21.69, 24.66],
    "uf": [7.60, 17.13, 23.74, 23.98, 27.48, 26.87],
}


@pytest.mark.parametrize(("name", "at_ten"), [("hh", 79.94), ("uf", 16.01), ("oasst", 11.38)])
def test_the_published_curves_at_ten_percent(name, at_ten):
    assert Plateau(*PUBLISHED[name]).at(np.array([10]))[0] == pytest.approx(at_ten, abs=0.01)


@pytest.mark.parametrize("name", PUBLISHED)
def test_points_without_noise_give_the_law_back(name):
    law = Plateau(*PUBLISHED[name])
    found = fit(X, law.at(X))
    assert (found.r, found.a, found.b) == pytest.approx(PUBLISHED[name], rel=1e-6)
    thousandths = fit(X / 1000, law.at(X))
    assert thousandths.b == pytest.approx(1000 * law.b, rel=1e-6)


def test_nineteen_of_twenty_intervals_hold_the_truth():
    """The noise is half a point, as in the paper's setting; nominal are 95 percent of each parameter."""
    rng = np.random.default_rng(0)
    held = np.zeros(4)
    for seed in range(50):
        law = Plateau(*PUBLISHED["uf"])
        y = law.at(X) + rng.normal(0, 0.5, 6)
        found = intervals(fit(X, y), X, y, 0.95, seed=seed, resamples=120)
        truth = {**vars(law), "enough": law.enough(0.95)}
        held += [found[name].low <= truth[name] <= found[name].high for name in found]
    assert (held >= 41).all()


def test_no_other_law_has_smaller_squares():
    y = np.array(MEASURED["uf"])
    found = fit(X, y)
    least = ((y - found.at(X)) ** 2).sum()
    rng = np.random.default_rng(0)
    for scale in (1e-4, 1e-2, 0.3):
        for r, a, b in np.exp(rng.normal(0, scale, (300, 3))) * [found.r, found.a, found.b]:
            assert ((y - Plateau(r, a, b).at(X)) ** 2).sum() >= least - 1e-9


def test_the_smallest_share_that_is_enough():
    law = Plateau(*PUBLISHED["hh"])
    share = law.enough(0.95)
    assert share == pytest.approx(math.log((law.r - law.a) / (law.r * 0.05)) / law.b)
    assert law.at(np.array([share]))[0] == pytest.approx(0.95 * law.r)
    assert law.enough(0.2) == 0, "the unaligned model is that good"


@pytest.mark.parametrize("y", [[5, 4, 3, 3, 2, 1], [0] * 6, [-3, -2, -2, -1, -1, -1], [7] * 6, [1, 0, 0, 0, 0, 9]])
def test_the_bounds_hold_whatever_the_points(y):
    found = fit(X, np.array(y))
    assert 0 <= found.a <= found.r
    assert found.b > 0


def test_what_speaks_against_a_fit():
    def said(y, x=X, part=0.95):
        return " / ".join(doubts(fit(x, np.array(y)), x, np.array(y), part))

    assert said(MEASURED["hh"]) == ""
    assert "misses the point at 25 by 3.17" in said(MEASURED["oasst"])
    assert "straight line" in said(MEASURED["oasst"])
    assert "beyond the largest one" in said(MEASURED["uf"], part=0.9999)
    assert "does not rise" in said([5, 4, 3, 3, 2, 1])
    assert "before the smallest share" in said([1, 9, 9, 9, 9, 9])


def test_three_points_have_a_curve_but_no_interval():
    y = np.array([1.0, 5, 6])
    found = intervals(fit(X[:3], y), X[:3], y, 0.95, seed=1)
    assert found["r"].value > 5
    assert math.isnan(found["r"].low)


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        ([0, 10, 10, 0], [1, 2, 2, 1], "2 different shares"),
        ([0, 10, float("nan")], [1, 2, 3], "is not a share"),
        ([0, -1, 5], [1, 2, 3], r"the point \(-1, 2\)"),
    ],
)
def test_points_that_tell_nothing(x, y, said):
    with pytest.raises(SetwrightError, match=said):
        fit(np.array(x), np.array(y))
