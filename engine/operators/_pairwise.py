"""Two answers before a judge, in both orders: a judge that prefers a place gives no answer an advantage.

How the judge is asked (model, draw, sampling) is the caller's business; the two numbers on one line are those of the
Vicuna judge (Zheng et al., arXiv 2306.05685).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from engine.operators._answers import all_of
from engine.operators._prompts import fill

FIELDS = ("instruction", "first", "second")
"""What the template of a judge can't do without; `{scale}` is the best mark."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")

Judge = Callable[[str, int, int], Awaitable[str]]
"""The judge's reply to (prompt, order, attempt): order 0 shows the answers as given, 1 the other way round."""


@dataclass(frozen=True)
class Verdict:
    """What a judge makes of two answers: the mean mark of each over both orders, None where a reply can't be read.

    `replies` are the last ones in both orders, `retries` those before them that could not be read.
    """

    marks: tuple[float, float] | None
    replies: tuple[str, str]
    retries: int

    @property
    def gap(self) -> float | None:
        """By how much the first answer is better."""
        return None if self.marks is None else self.marks[0] - self.marks[1]


@dataclass(frozen=True)
class _Reply:
    marks: tuple[float, float] | None  # in the order of the prompt
    text: str
    retries: int


async def judge_both_orders(
    judge: Judge, template: str, instruction: str, answers: tuple[str, str], *, scale: int, retries: int
) -> Verdict:
    """The verdict on two answers, from one reply in each order; the two are asked for at once.

    Args:
        judge: asks.
        template: with `FIELDS`, and perhaps `{scale}`.
        instruction: that both answer.
        answers: the two.
        scale: the best mark; the worst is 1.
        retries: how often an order is asked again when its reply can't be read.
    """

    async def ask(order: int) -> _Reply:
        first, second = answers if order == 0 else answers[::-1]
        values = {"instruction": instruction, "first": first, "second": second, "scale": str(scale)}
        asked = fill(template, values)
        for attempt in range(retries + 1):
            text = await judge(asked, order, attempt)
            marks = read_marks(text, scale)
            if marks is not None:
                break
        return _Reply(marks, text, attempt)

    one, other = await all_of(ask(order) for order in (0, 1))
    marks = None
    if one.marks is not None and other.marks is not None:
        marks = (one.marks[0] + other.marks[1]) / 2, (one.marks[1] + other.marks[0]) / 2
    return Verdict(marks, (one.text, other.text), one.retries + other.retries)


def read_marks(reply: str, scale: int) -> tuple[float, float] | None:
    """The two marks on the first line that is not empty; None unless it has two numbers, both from 1 to `scale`."""
    line = next((line for line in reply.splitlines() if line.strip()), "")
    numbers = [float(number) for number in _NUMBER.findall(line)]
    if len(numbers) != 2 or not all(1 <= number <= scale for number in numbers):
        return None
    return numbers[0], numbers[1]
