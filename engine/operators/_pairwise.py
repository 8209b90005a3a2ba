"""Two answers before a judge, in both orders: a judge that prefers a place gives no answer an advantage.

How the judge is asked (model, draw, sampling) is the caller's business; so is what a reply must look like. Two numbers
on one line are the form of the Vicuna judge, a letter in brackets that of MT-bench (Zheng et al., arXiv 2306.05685).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from engine.operators._answers import all_of
from engine.operators._prompts import fill

T = TypeVar("T")

FIELDS = ("instruction", "first", "second")
"""What the template of a judge can't do without; `{scale}` is the best mark."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_LETTER = re.compile(r"\[\[([ABC])\]\]")

Judge = Callable[[str, int, int], Awaitable[str]]
"""The judge's reply to (prompt, order, attempt): order 0 shows the answers as given, 1 the other way round."""


@dataclass(frozen=True)
class Reply(Generic[T]):
    """The last reply in one order: its text, what was read in it, and how many before it could not be read.

    `read` is in the order of the prompt; None where this reply could not be read either.
    """

    read: T | None
    text: str
    retries: int


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


async def ask_both_orders(
    judge: Judge,
    template: str,
    values: Mapping[str, str],
    answers: tuple[str, str],
    read: Callable[[str], T | None],
    *,
    retries: int,
) -> tuple[Reply[T], Reply[T]]:
    """One reply in each order; the two are asked for at once, and neither knows of the other.

    Args:
        judge: asks.
        template: with `{first}`, `{second}` and the fields of `values`.
        values: what both orders show besides the answers.
        answers: the two.
        read: makes something of a reply, None of one that it can't read.
        retries: how often an order is asked again when its reply can't be read.
    """

    async def ask(order: int) -> Reply[T]:
        first, second = answers if order == 0 else answers[::-1]
        asked = fill(template, {**values, "first": first, "second": second})
        for attempt in range(retries + 1):
            text = await judge(asked, order, attempt)
            found = read(text)
            if found is not None:
                break
        return Reply(found, text, attempt)

    one, other = await all_of(ask(order) for order in (0, 1))
    return one, other


async def judge_both_orders(
    judge: Judge, template: str, instruction: str, answers: tuple[str, str], *, scale: int, retries: int
) -> Verdict:
    """The verdict on two answers by their marks, from one reply in each order.

    Args:
        judge: asks.
        template: with `FIELDS`, and perhaps `{scale}`.
        instruction: that both answer.
        answers: the two.
        scale: the best mark; the worst is 1.
        retries: how often an order is asked again when its reply can't be read.
    """
    values = {"instruction": instruction, "scale": str(scale)}
    read = partial(read_marks, scale=scale)
    one, other = await ask_both_orders(judge, template, values, answers, read, retries=retries)
    return Verdict(mean_marks(one.read, other.read), (one.text, other.text), one.retries + other.retries)


def mean_marks(one: tuple[float, float] | None, other: tuple[float, float] | None) -> tuple[float, float] | None:
    """The mean marks of both answers, from those of both orders; None where either order has none."""
    if one is None or other is None:
        return None
    return (one[0] + other[1]) / 2, (one[1] + other[0]) / 2


def read_marks(reply: str, scale: int) -> tuple[float, float] | None:
    """The two marks on the first line that is not empty; None unless it has two numbers, both from 1 to `scale`."""
    line = next((line for line in reply.splitlines() if line.strip()), "")
    numbers = [float(number) for number in _NUMBER.findall(line)]
    if len(numbers) != 2 or not all(1 <= number <= scale for number in numbers):
        return None
    return numbers[0], numbers[1]


def read_letter(reply: str) -> str | None:
    """The letter of `[[A]]`, `[[B]]` or `[[C]]` (a tie); None where there is none, or where there are several."""
    letters = set(_LETTER.findall(reply))
    return letters.pop() if len(letters) == 1 else None
