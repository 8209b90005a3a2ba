"""Packing: which rows share a training sequence. Positions, attention and labels of a pack are the loop's business.

Best-fit decreasing, as in "Fewer Truncations Improve Language Modeling" (arXiv 2404.10830, section 3), without its
splitting: a row is never cut, and lies in one pack.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


def best_fit(lengths: npt.NDArray[np.integer], capacity: int) -> tuple[Integers, Integers]:
    """Put the longest rows first, each into the pack that it leaves with the least room; O(n log capacity).

    Args:
        lengths: tokens per row, `[n]`, each from 1 to `capacity`.
        capacity: tokens that a pack can hold.

    Returns:
        `order`, `[n]`: rows, pack by pack. `starts`, `[packs + 1]`: pack `p` is `order[starts[p]:starts[p + 1]]`.
        The same lengths give the same packs; rows of equal length keep their order.

    Raises:
        ValueError: a row is empty or longer than a pack.
    """
    if len(lengths) and not 1 <= lengths.min() <= lengths.max() <= capacity:
        raise ValueError(f"rows have {lengths.min()} to {lengths.max()} tokens, and a pack takes 1 to {capacity}")
    longest_first = np.argsort(-lengths.astype(np.int64), kind="stable")
    packs = np.fromiter(_packs(lengths[longest_first].tolist(), capacity), np.int64, len(lengths))
    count = int(packs.max(initial=-1)) + 1
    starts = np.concatenate([[0], np.cumsum(np.bincount(packs, minlength=count))]).astype(np.int64)
    return longest_first[np.argsort(packs, kind="stable")], starts


def efficiency(lengths: npt.NDArray[np.integer], packs: int, capacity: int) -> float:
    """Share of the slots of all packs that hold a token; 0 without packs."""
    return float(lengths.sum() / (packs * capacity)) if packs else 0.0


def _packs(lengths: list[int], capacity: int) -> list[int]:
    """The pack of each row, packs numbered as they are opened."""
    open_packs: list[list[int]] = [[] for _ in range(capacity + 1)]
    rooms = _Rooms(capacity)
    packs: list[int] = []
    opened = 0
    for length in lengths:
        room = rooms.tightest(length)
        if room:
            pack = open_packs[room].pop()
            if not open_packs[room]:
                rooms.remove(room)
        else:
            room, pack, opened = capacity, opened, opened + 1
        left = room - length
        if left and not open_packs[left]:
            rooms.add(left)
        open_packs[left].append(pack)
        packs.append(pack)
    return packs


class _Rooms:
    """A set of numbers from 1 to `capacity` that finds its least member of a size: a segment tree of maxima."""

    def __init__(self, capacity: int) -> None:
        self.leaves = 1 << capacity.bit_length()
        self.tree = [0] * (2 * self.leaves)

    def add(self, room: int) -> None:
        node, tree = self.leaves + room, self.tree
        while node and tree[node] < room:
            tree[node] = room
            node >>= 1

    def remove(self, room: int) -> None:
        node, tree = self.leaves + room, self.tree
        tree[node] = 0
        node >>= 1
        while node and tree[node] == room:
            tree[node] = max(tree[2 * node], tree[2 * node + 1])
            node >>= 1

    def tightest(self, size: int) -> int:
        """The least member of at least `size`, or 0."""
        tree, node = self.tree, 1
        if tree[1] < size:
            return 0
        while node < self.leaves:
            node *= 2
            if tree[node] < size:
                node += 1
        return tree[node]
