"""Prompts that are too long lose their oldest turns, so that what is left is a talk that the template knows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from trainers.data.template import Message, Rendered, RowError

Turns = Sequence[Message]


def shorter(
    prompt: Turns, render: Callable[[Turns], list[Rendered]], fits: Callable[[list[Rendered]], bool]
) -> list[Rendered] | None:
    """The item with the system's word and as many of the last turns as fit, from one of the user's on.

    Args:
        prompt: its turns.
        render: the texts of the item with another prompt.
        fits: whether texts are short enough.

    Returns:
        Its texts; None where not even one turn fits, or the template refuses what is left.
    """
    roles = [turn["role"] for turn in prompt]
    head = next((i for i, role in enumerate(roles) if role != "system"), len(roles))

    def rendered(turn: int) -> list[Rendered] | None:
        try:
            return render([*prompt[:head], *prompt[turn:]])
        except RowError:
            return None

    def fitting(turn: int) -> bool:
        texts = rendered(turn)
        return texts is not None and fits(texts)

    turns = [i for i in range(head + 1, len(roles)) if roles[i] == "user"]
    first = bisect_left(turns, True, key=fitting)
    return rendered(turns[first]) if first < len(turns) else None
