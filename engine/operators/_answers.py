"""Several calls of one row at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def all_of(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The answers, in the order of the calls.

    A failure is raised when all calls have finished, so that those that were answered need not be asked for again.
    """
    ended = await asyncio.gather(*calls, return_exceptions=True)
    answers = [answer for answer in ended if not isinstance(answer, BaseException)]
    for answer in ended:
        if isinstance(answer, BaseException):
            raise answer
    return answers
