"""What Magpie's instructions are asked to be about: system texts for the tasks, and for talks of several rounds.

The texts say who asks what and what the assistant is for, as the paper's do; the wording is ours. They stand before
the user's turn when it is drawn, and never when it is answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field, model_validator

from engine.operator import Params

PLAIN = "plain"

SYSTEM_TEXTS = {
    "math": (
        "You are an AI assistant that solves mathematical problems step by step. The user asks you all kinds of "
        "mathematical questions, from arithmetic and algebra to geometry, probability and calculus. Each question is "
        "complete in itself and has an answer that can be checked."
    ),
    "code": (
        "You are an AI assistant for programmers. The user asks you to write, explain, debug or improve code in many "
        "languages, and says clearly what the program is to do. Your answers are correct, short and well explained."
    ),
    "translation": (
        "You are an AI assistant that translates between languages. The user gives you a text and says into which "
        "language it is to be translated. You keep its meaning, its tone and its form."
    ),
}

SEVERAL_ROUNDS = (
    "You are a helpful AI assistant. The user holds a talk of several rounds with you: first come questions on a "
    "subject, then follow-up questions that relate to what was said before and go deeper into it."
)


class Task(Params):
    """A share of the instructions, and the system text that they are drawn under.

    `plain` has no system text; `math`, `code` and `translation` have one that is built in; a name of your own needs
    its text in `system`.
    """

    task: str = Field(min_length=1)
    share: float = Field(1.0, gt=0)
    system: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _has_a_text(self) -> Task:
        if self.system is None and self.task != PLAIN and self.task not in SYSTEM_TEXTS:
            raise ValueError(
                f"task {self.task!r} has no system text: give one in `system` (built in: {', '.join(SYSTEM_TEXTS)})"
            )
        return self

    @property
    def text(self) -> str | None:
        """The system text; None for no system turn."""
        return self.system or SYSTEM_TEXTS.get(self.task)


class Setting(Params):
    """A share of the instructions, and how they are drawn."""

    temperature: float = Field(gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    share: float = Field(1.0, gt=0)


def _grid(*rows: tuple[float, float, float]) -> list[Setting]:
    return [Setting(temperature=t, top_p=p, share=share) for t, p, share in rows]


GRIDS = {
    "air": _grid(
        *((t, p, 300.0) for t in (1.0, 1.1, 1.2) for p in (1.0, 0.995, 0.99)),
        *((1.25, p, 100.0) for p in (1.0, 0.995, 0.99)),
    ),
    "pro": _grid((1.0, 1.0, 300.0), (1.1, 0.995, 300.0), (1.2, 0.995, 300.0), (1.25, 0.99, 100.0)),
}
"""The settings of Magpie-Air-3M and Magpie-Pro-1M; shares in thousands of rows."""


def by_share(choices: Sequence[Any], draw: int) -> Any:
    """The choice that a 63-bit number falls on, each as likely as its `share` says."""
    left = draw / 2**63 * sum(choice.share for choice in choices)
    for choice in choices:
        left -= choice.share
        if left < 0:
            return choice
    return choices[-1]
