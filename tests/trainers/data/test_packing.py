"""Best-fit decreasing: nothing lost, nothing over the edge, as tight as the reference."""

from itertools import pairwise

import numpy as np
import pytest

from trainers.data.packing import best_fit


def packs_of(lengths, capacity):
    order, starts = best_fit(np.asarray(lengths), capacity)
    assert sorted(order.tolist()) == list(range(len(lengths)))
    return [order[a:b].tolist() for a, b in pairwise(starts)]


def reference(lengths, capacity):
    """Best-fit decreasing by hand: each row into the fullest pack that still holds it."""
    left = []
    for length in sorted(lengths, reverse=True):
        fitting = [(space, i) for i, space in enumerate(left) if space >= length]
        if fitting:
            left[min(fitting)[1]] -= length
        else:
            left.append(capacity - length)
    return len(left)


@pytest.mark.parametrize("seed", range(5))
def test_as_few_packs_as_the_reference(seed):
    lengths = np.random.default_rng(seed).integers(1, 100, 500)
    packs = packs_of(lengths, 128)
    assert all(lengths[pack].sum() <= 128 for pack in packs)
    assert len(packs) == reference(lengths.tolist(), 128)


def test_the_same_lengths_give_the_same_packs():
    lengths = np.random.default_rng(0).integers(1, 50, 300)
    assert packs_of(lengths, 64) == packs_of(lengths.copy(), 64)


def test_rows_that_fill_a_pack_stand_alone():
    assert packs_of([8, 8, 3, 5], 8) == [[0], [1], [3, 2]]
