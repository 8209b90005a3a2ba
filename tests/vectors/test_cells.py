import os
import subprocess
import sys

import numpy as np
import pytest

from engine.vectors import cells
from engine.vectors.cells import assign, kmeans, nearest_cells
from engine.vectors.index import NOTHING, Flat, Inverted


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def clouds(n=3000, dim=24, centres=12, spread=0.3, seed=0):
    """Rows around distinct directions, and which direction each is around."""
    rng = np.random.default_rng(seed)
    around = rng.integers(0, centres, n)
    directions = unit(rng.standard_normal((centres, dim)))
    return unit(directions[around] + spread * unit(rng.standard_normal((n, dim)))), around


def exact(rows, centroids):
    return rows.astype(np.float64) @ centroids.T.astype(np.float64)


def test_rows_go_to_the_nearest_centroid():
    rows, _ = clouds()
    centroids = kmeans(rows, 40, seed=3)
    cell, cosine = assign(rows, centroids)
    truth = exact(rows, centroids)
    assert centroids.dtype == np.float32
    assert (cell.dtype, cosine.dtype) == (np.int32, np.float32)
    assert cell.tolist() == truth.argmax(axis=1).tolist()
    assert np.abs(cosine - truth.max(axis=1)).max() < 1e-7
    two = np.argsort(-truth, axis=1, kind="stable")[:, :2]
    assert nearest_cells(rows, centroids, 2).tolist() == two.tolist()


def test_centroids_are_the_directions_of_their_rows():
    """At the end of the loop no row changes its cell, and so every centroid is the mean of its own."""
    rows, _ = clouds()
    centroids = kmeans(rows, 12, seed=3, iterations=200)
    cell, _ = assign(rows, centroids)
    means = np.array([rows[cell == c].mean(axis=0, dtype=np.float64) for c in range(len(centroids))])
    assert np.abs(unit(means) - centroids).max() < 1e-6


def test_more_iterations_come_nearer():
    rows, _ = clouds(spread=2.0)
    means = [assign(rows, kmeans(rows, 30, seed=3, iterations=i))[1].mean() for i in (0, 1, 5, 40)]
    assert means == sorted(means)
    assert means[0] < means[-1] - 0.01


def test_equal_rows_make_one_cell_and_none_is_empty():
    same = np.repeat(unit(np.ones((1, 8))), 50, axis=0)
    assert kmeans(same, 7, seed=1).shape == (1, 8)
    few = np.concatenate([same, unit(np.eye(8))])
    centroids = kmeans(few, 20, seed=1)
    assert len(centroids) == 9  # an empty cell moves to the farthest row, until all nine directions have one
    assert np.bincount(assign(few, centroids)[0]).min() > 0


@pytest.mark.parametrize("n", [0, 1, 3])
def test_fewer_rows_than_cells(n):
    rows, _ = clouds(n or 1)
    assert kmeans(rows[:n], 10, seed=1).shape == (n, 24)


def test_the_seed_draws_the_first_centroids():
    rows, _ = clouds(spread=2.0)
    one, again, other = (kmeans(rows, 20, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_ties_go_to_the_first_centroid_in_every_block(monkeypatch):
    """Each row is as near to two of the centroids, but for what float32 makes of it; some centroids are equal."""
    rng = np.random.default_rng(5)
    axes = np.eye(64, dtype=np.float32)
    pairs = np.sort(rng.integers(0, 64, (500, 2)), axis=1)
    rows = unit(axes[pairs[:, 0]] + axes[pairs[:, 1]])
    centroids = np.concatenate([axes, axes[:5]])
    for block in (1, 64, 1024):
        monkeypatch.setattr(cells, "BLOCK", block)
        assert nearest_cells(rows, centroids)[:, 0].tolist() == pairs[:, 0].tolist()
        at_once = nearest_cells(rows, centroids, 2)
        assert np.array_equal(
            np.concatenate([nearest_cells(rows[i : i + 7], centroids, 2) for i in range(0, 500, 7)]), at_once
        )


def test_cells_do_not_depend_on_the_number_of_threads():
    code = (
        "import numpy as np, hashlib; from engine.vectors.cells import *;"
        "rows = np.random.default_rng(0).standard_normal((4000, 48)).astype(np.float32);"
        "rows /= np.linalg.norm(rows, axis=1, keepdims=True); c = kmeans(rows, 60, seed=1);"
        "a = assign(rows, c); print(hashlib.sha256(c.tobytes() + a[0].tobytes() + a[1].tobytes()).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True,
            env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
        ).stdout
        for threads in ("1", "2")
    ]  # fmt: skip
    assert runs[0] == runs[1] != ""


def test_flat_search_is_exact():
    rows, _ = clouds(500)
    products, found = Flat(rows).search(rows[:50], 10)
    truth = exact(rows[:50], rows)
    assert found.tolist() == np.argsort(-truth, axis=1)[:, :10].tolist()
    assert np.abs(products - np.take_along_axis(truth, found, axis=1)).max() < 1e-6


def test_inverted_search_finds_most_in_few_cells_and_all_in_all():
    rows, _ = clouds(4000, spread=1.0)
    centroids = kmeans(rows, 64, seed=1)
    truth = np.argsort(-exact(rows[:200], rows), axis=1)[:, :10]

    def recall(probes):
        index = Inverted(centroids, probes)
        for start in range(0, 4000, 1500):  # in several pieces
            index.add(rows[start : start + 1500])
        found = index.search(rows[:200], 10)[1]
        return np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), truth.tolist(), strict=True)])

    assert recall(1) < recall(16) < 1.0
    assert recall(16) > 0.9
    assert recall(64) == recall(1000) == 1.0


def test_inverted_search_says_where_it_finds_too_few():
    rows, around = clouds(40, centres=2, spread=0.01)
    index = Inverted(kmeans(rows, 2, seed=1), 1)
    index.add(rows)
    _, found = index.search(rows, 40)
    assert ((found != NOTHING).sum(axis=1) == np.bincount(around)[around]).all()
