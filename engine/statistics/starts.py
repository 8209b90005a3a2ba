"""Where an iteration that groups vectors begins: centres far from one another, from a few thousand of the vectors."""

from __future__ import annotations

import numpy as np

from engine.statistics.moments import Blocks

LOOKED_AT = 4096
ROUNDS = 20


def starts(blocks: Blocks, count: int, centres: int, seed: int) -> np.ndarray:
    """Starting centres, float64 [centres, dim]: k-means++ (Arthur & Vassilvitskii 2007), then a few rounds of k-means.

    Args:
        blocks: the vectors, of which at most 4,096, evenly spaced, are looked at.
        count: how many vectors there are.
        centres: how many are wanted, at most `count`.
        seed: of the draws.
    """
    vectors = _evenly(blocks, count)
    chosen = _far_apart(vectors, centres, np.random.default_rng(seed))
    for _ in range(ROUNDS):
        nearest = distances(vectors, chosen).argmin(axis=1)
        sizes = np.bincount(nearest, minlength=centres)
        sums = np.stack([vectors[nearest == k].sum(axis=0) for k in range(centres)])
        chosen = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], chosen)
    return chosen


def _evenly(blocks: Blocks, count: int) -> np.ndarray:
    """At most `LOOKED_AT` of the vectors, spread over all of them, float64."""
    every = -(-count // LOOKED_AT)
    found, start = [], 0
    for block in blocks():
        found.append(block[-start % every :: every].astype(np.float64))
        start += len(block)
    return np.concatenate(found)


def _far_apart(vectors: np.ndarray, centres: int, rng: np.random.Generator) -> np.ndarray:
    """Vectors drawn one by one, each with a chance that grows with the squared distance to those drawn before."""
    chosen = [vectors[rng.integers(len(vectors))]]
    while len(chosen) < centres:
        nearest = distances(vectors, np.array(chosen)).min(axis=1)
        reach = np.cumsum(nearest)
        chosen.append(vectors[min(np.searchsorted(reach, rng.random() * reach[-1], side="right"), len(vectors) - 1)])
    return np.array(chosen)


def distances(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The squared distance of each vector, [n, dim], to each centre, [k, dim]: float64 [n, k]."""
    return np.stack([np.einsum("ij,ij->i", away, away) for away in (vectors - c for c in centres)], axis=1)
