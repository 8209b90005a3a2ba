"""A conversation as text, for a prompt that shows it to a model."""

from __future__ import annotations

from collections.abc import Iterable

from engine.request import Message


def transcript(turns: Iterable[Message]) -> str:
    """The turns, each after the name of its role, with an empty line between them."""
    return "\n\n".join(f"{turn['role'].capitalize()}: {turn.get('content') or ''}" for turn in turns)
