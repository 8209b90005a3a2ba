"""One search of `generate: ultraprompt`: rewrites, answers and rewards, and what is done where one of them fails.

Random draws come from the seed's row id, the iteration and the try, so that a search that is stopped and begun anew
makes the same calls, and finds those that were answered. The tree itself is in `_ultraprompt_tree`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from engine.errors import ModelError
from engine.operator import Context
from engine.operators._answers import all_of
from engine.operators._prompts import fill
from engine.operators._rating import expected_mark
from engine.operators.generators._ultraprompt_params import (
    BEGINS,
    ENDS,
    RESPONDER,
    REWARD,
    REWRITER,
    UltrapromptParams,
)
from engine.operators.generators._ultraprompt_tree import Node, Rewrite, Tree, Trial
from engine.request import Message

ROOT_TURN = 0
PICK, REWRITES, ANSWERS = 0, 1, 1 << 15
"""Where the draws of one turn begin: the principle, the tries of its rewriting, the sampled answers."""


class Failure(TypedDict):
    """What failed, in which iteration (from 0; None for the root)."""

    iteration: int | None
    reason: str


class Failed(Exception):
    """A rewriting or a simulation that gave nothing to go on with; the tree survives some of them."""


@dataclass
class Search:
    """A tree while it grows. Afterwards it holds the tree, how far it came, and what failed on the way."""

    row_id: str
    raw: str
    principles: Mapping[str, str]
    params: UltrapromptParams
    ctx: Context
    next_iter: int = 0
    tree: Tree = field(init=False)
    _spent: int = 0  # of max_failures
    _of_root: list[Failure] = field(default_factory=list)
    _of_iterations: list[Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        given = self.params
        self.tree = Tree(self.raw, len(self.principles), given.w, given.scale)

    @property
    def failures(self) -> list[Failure]:
        """What failed, in the order of the iterations; the root, which has none, comes first."""
        return self._of_root + self._of_iterations

    @property
    def is_success(self) -> bool:
        """Whether all iterations are done and the root has its reward."""
        return self.next_iter >= self.params.iterations and self.tree.root.trial is not None

    async def run(self) -> None:
        """Grow the tree, and try the root meanwhile; its reward is told when the tree has grown.

        Raises:
            ModelError: a model gave up, with `on_failure: fail`. All calls begun have ended by then.
        """
        trial, _ = await all_of([self._root(), self._grow()])
        if trial is not None:
            self.tree.close(trial)

    async def _root(self) -> Trial | None:
        """The raw instruction's own answers and rewards. What fails here does not count for the iterations."""
        for attempt in range(self.params.tries):
            try:
                return await self._simulate(self.raw, ROOT_TURN, attempt)
            except Failed as failed:
                self._of_root.append(Failure(iteration=None, reason=str(failed)))
            except ModelError as error:
                self._of_root.append(self._given_up(None, error))
                break
        return None

    async def _grow(self) -> None:
        """The iterations, each begun again after a failure until the tree has spent those that it survives."""
        again = 0
        while self.next_iter < self.params.iterations and self._spent <= self.params.max_failures:
            try:
                await self._iterate(self.next_iter + 1, again)
            except Failed as failed:
                self._spend(failed)
                again += 1
            except ModelError as error:
                self._of_iterations.append(self._given_up(self.next_iter, error))
                break
            else:
                self.next_iter, again = self.next_iter + 1, 0

    async def _iterate(self, turn: int, again: int) -> None:
        """Select a node, rewrite it by a principle that none of its children has, try the rewrite, back up."""
        parent = self.tree.select()
        used = {child.rewrite.action for child in parent.children}
        free = [name for name in self.principles if name not in used]
        name = free[int(self.ctx.rng(self.row_id, number(turn, again, PICK)).integers(len(free)))]
        rewrite = await self._rewrite(parent, name, turn, again)
        if self.params.duplicates == "drop" and self.tree.holds(rewrite.instruction):
            self._note(Failed("the rewrite is a duplicate"))
            return
        self.tree.add(parent, rewrite, await self._simulate(rewrite.instruction, turn, again))

    async def _rewrite(self, parent: Node, name: str, turn: int, again: int) -> Rewrite:
        """Tried several times; failed tries are spent here, but the last one is left to the caller."""
        tried = 0
        while True:
            try:
                asked = number(turn, again, REWRITES + tried)
                text = await self._ask_rewriter(parent.rewrite.instruction, self.principles[name], asked)
            except Failed as failed:
                tried += 1
                if tried == self.params.tries or self._spent >= self.params.max_failures:
                    raise
                self._spend(failed)
            else:
                return Rewrite(text, name, self.principles[name])

    async def _ask_rewriter(self, instruction: str, principle: str, asked: int) -> str:
        params = self.params
        system, template = params.rewrite_prompts
        user = fill(template, {"instruction": instruction, "principle": principle})
        turns, draw = [_turn("system", system), _turn("user", user)], self.ctx.draw(self.row_id, asked)
        try:
            answer = await self.ctx.models[REWRITER].chat(turns, draw=draw, sampling=params.rewriting)
        except ModelError as error:
            raise _judged(error) from error
        if answer.finish_reason == "length":
            raise Failed("the rewrite is cut off")
        said = answer.text or ""
        text = (between_markers(said) if params.mode == "offline" else said).strip()
        if not text:
            raise Failed("the rewrite is empty")
        if params.duplicates == "retry" and self.tree.holds(text):
            raise Failed("the rewrite is a duplicate")
        return text

    async def _simulate(self, instruction: str, turn: int, again: int) -> Trial:
        """The sampled answers to an instruction and their rewards, each as soon as its answer is there."""
        numbers = [number(turn, again, ANSWERS + k) for k in range(self.params.samples)]
        try:
            tried = await all_of([self._try(instruction, asked) for asked in numbers])
        except ModelError as error:
            raise _judged(error) from error
        responses, rewards = zip(*tried, strict=True)
        if not all(map(math.isfinite, rewards)):
            raise Failed("a reward is not a finite number")
        return Trial(responses, rewards)

    async def _try(self, instruction: str, asked: int) -> tuple[str, float]:
        params, model, draw = self.params, self.ctx.models[RESPONDER], self.ctx.draw(self.row_id, asked)
        if params.responder_form == "headers":
            prompt = fill(params.prompts.answer, {"instruction": instruction})
            answer = await model.generate(prompt, draw=draw, sampling=params.answering)
        else:
            answer = await model.chat([_turn("user", instruction)], draw=draw, sampling=params.answering)
        response = (answer.text or "").strip()
        return response, await self._reward(response)

    async def _reward(self, response: str) -> float:
        """A response's reward against the raw instruction, whatever instruction triggered it: that keeps the intent."""
        params, model = self.params, self.ctx.models[REWARD]
        if params.reward == "model":
            return await model.reward([_turn("user", self.raw), _turn("assistant", response)])
        values = {"instruction": self.raw, "response": response, "points": str(params.points)}
        mark = await expected_mark(model, params.candidates, fill(params.prompts.rate, values))
        if mark is None:
            raise Failed("a point of the rating can't be seen among the next tokens")
        return mark

    def _spend(self, failed: Failed) -> None:
        self._spent += 1
        self._note(failed)

    def _note(self, failed: Failed) -> None:
        self._of_iterations.append(Failure(iteration=self.next_iter, reason=str(failed)))

    def _given_up(self, iteration: int | None, error: ModelError) -> Failure:
        """The record of a model that gave up, where the tree is to be kept all the same."""
        if self.params.on_failure == "fail":
            raise error
        return Failure(iteration=iteration, reason=error.message)


def number(turn: int, again: int, slot: int) -> int:
    """The number of a draw: the turn (0 for the root, i + 1 for iteration i), how often it began anew, and the slot."""
    return turn << 32 | again << 16 | slot


def between_markers(text: str) -> str:
    """What stands between the marker lines.

    Raises:
        Failed: one of them is missing.
    """
    _, begun, rest = text.partition(BEGINS)
    inner, ended, _ = rest.partition(ENDS)
    if not (begun and ended):
        raise Failed("the rewrite is not between the marker lines")
    return inner


def _turn(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _judged(error: ModelError) -> Exception:
    """A request that is refused for what it says would be refused again: that fails the text, not the row."""
    return Failed(f"refused: {error.message}") if error.refused else error
