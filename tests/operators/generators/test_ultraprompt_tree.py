"""The search's rules by hand and beside a slow, recursive reading of the paper; the landscapes are in `landscape`."""

import math
from statistics import fmean

import numpy as np
import pytest
from operators.landscape import Landscape, grown, random_nodes, random_paths

from engine.operators.generators._ultraprompt_tree import Rewrite, Tree, Trial


def trial(*rewards):
    return Trial(["x"] * len(rewards), rewards)


def by_hand():
    tree = Tree("raw", width=2, w=0.1)
    a = tree.add(tree.root, Rewrite("a", "A"), trial(1.0))
    b = tree.add(tree.root, Rewrite("b", "B"), trial(1.5))
    c = tree.add(a, Rewrite("c", "A"), trial(2.0, 3.0, 4.0))
    return tree, a, b, c


def test_the_published_numbers_by_hand():
    tree, a, b, c = by_hand()
    assert (a.quality, b.quality, c.quality) == (2.0, 1.5, 3.0)
    assert (tree.root.visits, a.visits, b.visits, c.visits) == (3, 2, 1, 1)
    assert list(tree.scores(tree.root, 0.1)) == pytest.approx([2.0741, 1.6048], abs=5e-5)
    assert tree.select() is a  # the best child; one of its two places is free
    assert (tree.root.value, a.value, b.value, c.value) == (3.0, 3.0, 1.5, 3.0)
    assert c.actions == ["A", "A"]


def test_the_roots_reward_comes_last_and_is_no_visit():
    tree, *_ = by_hand()
    assert tree.root.quality == pytest.approx(1.75)  # the root's own reward is not there to be averaged
    tree.close(trial(5.0))
    assert (tree.root.quality, tree.root.value, tree.root.visits) == (pytest.approx((5 + 2 + 1.5) / 3), 5.0, 3)


def test_the_first_of_equal_scores():
    tree = Tree("raw", width=2, w=0.1)
    first = tree.add(tree.root, Rewrite("a", "A"), trial(1.0))
    tree.add(tree.root, Rewrite("b", "B"), trial(1.0))
    assert tree.select() is first


def test_exploration_in_standard_deviations():
    """Rewards in thousands drown w = 0.1; measured in their spread it sends the search where it went for small ones."""

    def select(unit, scale):
        tree = Tree("raw", width=2, w=2.0, scale=scale)
        a = tree.add(tree.root, Rewrite("a", "A"), trial(0.6 * unit))
        tree.add(tree.root, Rewrite("b", "B"), trial(0.5 * unit))
        for _ in range(2):
            tree.add(a, Rewrite("c", "A"), trial(0.6 * unit))
        return tree.select().rewrite.action

    assert [select(1, "none"), select(1000, "none")] == ["B", "A"]
    tree = Tree("raw", 1, 1.0, "spread")
    assert tree.select() is tree.root
    assert tree._weight() == 0
    for number, reward in enumerate((1.0, 3.0)):
        tree.add(tree.nodes[-1], Rewrite(str(number), "A"), trial(reward))
    assert tree._weight() == 1.0
    assert select(1, "spread") == select(1000, "spread")


def quality(node):
    """Q as the paper has it, from scratch."""
    own = [] if node.trial is None else [node.trial.mean]
    return fmean(own + [quality(child) for child in node.children])


def best(node):
    own = [] if node.trial is None else [node.trial.mean]
    return max(own + [best(child) for child in node.children])


@pytest.mark.parametrize("width", [1, 3, 5])
def test_a_tree_of_any_rewards_has_the_shape_and_the_values_of_the_paper(width):
    rng = np.random.default_rng(width)
    tree, steps = Tree("raw", width, 0.3), 60
    for step in range(steps):
        parent = tree.select()
        above = parent.parent
        while above is not None:  # nothing below a node whose parent still has a free place
            assert len(above.children) == width
            above = above.parent
        free = [str(k) for k in range(width) if str(k) not in {c.rewrite.action for c in parent.children}]
        node = tree.add(parent, Rewrite(f"t{step}", free[rng.integers(len(free))]), trial(*rng.normal(size=3)))
        assert [n.visits for n in tree.nodes if n.parent is None] == [step + 1]
        for above in node.path:
            assert above.quality == pytest.approx(quality(above), abs=1e-12)
            assert above.value == best(above)
    assert len(tree.nodes) == steps + 1
    assert sum(child.visits for child in tree.root.children) == tree.root.visits == steps
    for node in tree.nodes:
        actions = [child.rewrite.action for child in node.children]
        assert len(set(actions)) == len(actions) <= width


def test_a_repeated_text_is_flagged():
    tree = Tree("raw", width=3, w=0.1)
    texts = ["raw", "a", "a"]
    nodes = [tree.add(tree.root, Rewrite(text, str(i)), trial(0.0)) for i, text in enumerate(texts)]
    assert [node.duplicate for node in nodes] == [True, False, True]


def test_the_search_finds_more_than_chance():
    """With 20 calls on 60 landscapes; benchmarks/bench_tree_search.py has 400, and the figures."""
    worlds = [Landscape(np.random.default_rng(seed)) for seed in range(60)]
    search, nodes, paths = (
        [way(world, 20, np.random.default_rng(1000 + i)) for i, world in enumerate(worlds)]
        for way in (grown, random_nodes, random_paths)
    )
    assert fmean(search) > fmean(nodes) + 0.1
    assert fmean(search) > fmean(paths) + 0.1
    optima = [world.optimum() for world in worlds]
    assert all(found <= most + 1e-9 for found, most in zip(search, optima, strict=True))
    hits = [sum(math.isclose(f, most) for f, most in zip(way, optima, strict=True)) for way in (search, nodes, paths)]
    assert hits[0] > 1.5 * max(hits[1:])
