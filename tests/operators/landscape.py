"""A made-up reward over sequences of principles, to see whether a search finds more than chance does at equal calls.

Five principles with weights N(0, 1), a bonus N(0, 0.5) for each ordered pair of neighbours; a repeated principle counts
half of what it counted before and costs 0.8; 0.35 (length - 3)^2 is taken off beyond a length of 3; the sum over 3.
"""

from __future__ import annotations

import numpy as np

from engine.operators.generators._ultraprompt_tree import Node, Rewrite, Tree, Trial

ACTIONS = 5
FREE = 3
"""Principles that a sequence may have before its length costs something."""
DEEPEST = 6
"""No longer sequence is an optimum: the length alone costs 3.15 at six principles, and 5.6 at seven."""


class Landscape:
    """The reward of any sequence of actions, and the best that there is."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.weights = rng.normal(0, 1, ACTIONS)
        self.bonus = rng.normal(0, 0.5, (ACTIONS, ACTIONS))

    def reward(self, actions: tuple[int, ...]) -> float:
        total, seen = 0.0, [0] * ACTIONS
        for place, action in enumerate(actions):
            total += self.weights[action] * 0.5 ** seen[action] - (0.8 if seen[action] else 0.0)
            seen[action] += 1
            if place:
                total += self.bonus[actions[place - 1], action]
        return (total - 0.35 * max(0, len(actions) - FREE) ** 2) / 3

    def optimum(self, longest: int = DEEPEST) -> float:
        """The largest reward of all sequences of 1 to `longest` actions, level by level as arrays."""
        raw, seen, last = self.weights.copy(), np.eye(ACTIONS, dtype=int), np.arange(ACTIONS)
        best = raw.max()
        for length in range(2, longest + 1):
            actions = np.tile(np.arange(ACTIONS), len(raw))
            raw, seen, last = (np.repeat(each, ACTIONS, axis=0) for each in (raw, seen, last))
            repeats = seen[np.arange(len(seen)), actions]
            raw = raw + self.weights[actions] * 0.5**repeats - 0.8 * (repeats > 0) + self.bonus[last, actions]
            seen[np.arange(len(seen)), actions] += 1
            last, best = actions, max(best, raw.max() - 0.35 * max(0, length - FREE) ** 2)
        return best / 3


def grown(world: Landscape, calls: int, rng: np.random.Generator) -> float:
    """The best reward that the operator's own tree finds."""
    tree = Tree("", ACTIONS, 0.1)
    for _ in range(calls):
        _expand(tree, tree.select(), world, rng)
    return _best(tree)


def random_nodes(world: Landscape, calls: int, rng: np.random.Generator) -> float:
    """The best reward where each call expands any node that has a free principle."""
    tree = Tree("", ACTIONS, 0.1)
    for _ in range(calls):
        free = [node for node in tree.nodes if len(node.children) < ACTIONS]
        _expand(tree, free[rng.integers(len(free))], world, rng)
    return _best(tree)


def random_paths(world: Landscape, calls: int, rng: np.random.Generator) -> float:
    """The best reward on paths of three random principles, each begun at the root and paid with three calls."""
    paths = rng.integers(ACTIONS, size=(-(-calls // FREE), FREE))
    made = [tuple(path[: k + 1].tolist()) for path in paths for k in range(FREE)]
    return max(map(world.reward, made[:calls]))


def _expand(tree: Tree, parent: Node, world: Landscape, rng: np.random.Generator) -> None:
    used = {child.rewrite.action for child in parent.children}
    free = [str(action) for action in range(ACTIONS) if str(action) not in used]
    _add(tree, parent, free[rng.integers(len(free))], world)


def _add(tree: Tree, parent: Node, action: str, world: Landscape) -> None:
    rewrite = Rewrite(f"{parent.rewrite.instruction}{action}", action)
    reward = world.reward(tuple(map(int, rewrite.instruction)))
    tree.add(parent, rewrite, Trial(("",), (reward,)))


def _best(tree: Tree) -> float:
    return max(node.trial.mean for node in tree.nodes if node.trial is not None)
