"""What two rankings of the same answers agree on: the largest set of answers that both put in the same order.

Rankings are lists of indices, the best one first. CycleAlign (Hong et al., arXiv 2310.16271) builds pseudo labels from
such an agreement; that it is a longest common subsequence, and the rule for ties, is our reading.
"""

from __future__ import annotations

from collections.abc import Sequence


def ranking_of(scores: Sequence[float]) -> list[int]:
    """The indices of scores from the highest to the lowest; of equal scores, the first one comes first."""
    return sorted(range(len(scores)), key=lambda i: -scores[i])


def agreement(first: Sequence[int], second: Sequence[int]) -> list[int]:
    """The longest common subsequence of two permutations of the same indices.

    Of several longest ones it is the one whose members come earliest in `first`.
    """
    n = len(first)
    longest = [[0] * (n + 1) for _ in range(n + 1)]  # [i][j]: of what both hold from i and from j on
    for i in reversed(range(n)):
        for j in reversed(range(n)):
            same = first[i] == second[j]
            longest[i][j] = 1 + longest[i + 1][j + 1] if same else max(longest[i + 1][j], longest[i][j + 1])
    agreed, i, j = [], 0, 0
    while i < n and j < n:
        if first[i] == second[j]:
            agreed.append(first[i])
            i, j = i + 1, j + 1
        elif longest[i][j + 1] >= longest[i + 1][j]:
            j += 1
        else:
            i += 1
    return agreed


def usable(agreed: Sequence[int], answers: int, least: int) -> bool:
    """Whether an agreement may be shown as a demonstration: `least` answers, or both where there are only two."""
    return len(agreed) >= least or len(agreed) == answers == 2
