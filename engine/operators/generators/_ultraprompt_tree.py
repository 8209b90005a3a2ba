"""The tree of `generate: ultraprompt`: its nodes, which of them is expanded next, and what a new reward changes.

Pure numbers, as P-Aligner's search has them (Song et al., arXiv 2508.04626, and its published code). It is not textbook
UCT: a node's quality is a mean of means, the exploration term has no factor 2, and the value that is backed up, a
maximum, guides nothing. Who rewrites, answers and rewards stands in `_ultraprompt_search`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import pstdev
from typing import Literal

ROOT = "root"

Scale = Literal["none", "spread"]


@dataclass(frozen=True)
class Rewrite:
    """An instruction and the principle that led to it: its name, and the sentence that the rewriter was given."""

    instruction: str
    action: str = ROOT
    principle: str | None = None


@dataclass(frozen=True)
class Trial:
    """What an instruction triggers: sampled responses, and the reward of each against the raw instruction."""

    responses: Sequence[str]
    rewards: Sequence[float]

    @cached_property
    def mean(self) -> float:
        """r(v), the node's own reward."""
        return math.fsum(self.rewards) / len(self.rewards)


@dataclass(eq=False)
class Node:
    """One instruction of a tree. `quality` is Q(v) and `value` the backed-up maximum, both None before any reward."""

    rewrite: Rewrite
    index: int  # the order of making, 0 for the root
    parent: Node | None = None
    trial: Trial | None = None
    duplicate: bool = False  # the same text as a node before it
    children: list[Node] = field(default_factory=list)
    visits: int = 0
    quality: float | None = None
    value: float | None = None

    @property
    def path(self) -> list[Node]:
        """The node and all above it, the root last."""
        nodes = [self]
        while nodes[-1].parent is not None:
            nodes.append(nodes[-1].parent)
        return nodes

    @property
    def actions(self) -> list[str]:
        """The principles from the root to the node."""
        return [node.rewrite.action for node in reversed(self.path[:-1])]

    def refresh(self) -> None:
        """Quality and value from the own reward, where it is known, and the children's.

        `Q(v) = mean([r(v)] + [Q(c) for c in children])`; the value is `max([r(v)] + [value(c)])`.
        """
        own = [] if self.trial is None else [self.trial.mean]
        qualities = own + [child.quality for child in self.children if child.quality is not None]
        values = own + [child.value for child in self.children if child.value is not None]
        self.quality = math.fsum(qualities) / len(qualities) if qualities else None
        self.value = max(values, default=None)


class Tree:
    """A search tree over principles.

    Args:
        instruction: the raw one, at the root. Its reward is not known during the search.
        width: how many children a node has before the search goes below it.
        w: the weight of exploration.
        scale: `spread` multiplies `w` by the standard deviation of the rewards so far.
    """

    def __init__(self, instruction: str, width: int, w: float, scale: Scale = "none") -> None:
        self.root = Node(Rewrite(instruction), 0)
        self.nodes = [self.root]
        self._texts = {instruction}
        self.width, self.w, self.scale = width, w, scale

    def select(self) -> Node:
        """The node to expand: down from the root to the best child, while every principle has its child.

        Best is the first maximum of `Q(c) + w sqrt(ln N(x) / N(c))`.
        """
        node, w = self.root, self._weight()
        while len(node.children) == self.width:
            scores = list(self.scores(node, w))
            node = node.children[scores.index(max(scores))]
        return node

    def scores(self, node: Node, w: float) -> Iterator[float]:
        """What `select` compares, of each child of a node."""
        seen = math.log(node.visits)
        for child in node.children:
            assert child.quality is not None, "every child was rewarded when it was added"
            yield child.quality + w * math.sqrt(seen / child.visits)

    def add(self, parent: Node, rewrite: Rewrite, trial: Trial) -> Node:
        """Append a child and back its reward up to the root."""
        node = Node(rewrite, len(self.nodes), parent, trial, duplicate=self.holds(rewrite.instruction))
        parent.children.append(node)
        self.nodes.append(node)
        self._texts.add(rewrite.instruction)
        for above in node.path:
            above.visits += 1
            above.refresh()
        return node

    def close(self, trial: Trial) -> None:
        """Give the root its reward, which is no visit."""
        self.root.trial = trial
        self.root.refresh()

    def holds(self, instruction: str) -> bool:
        """Whether a node has this very text."""
        return instruction in self._texts

    def _weight(self) -> float:
        if self.scale == "none":
            return self.w
        means = [node.trial.mean for node in self.nodes if node.trial is not None]
        return self.w * pstdev(means) if means else 0.0
