"""What a spec may say of `generate: ultraprompt`, and what that asks of the three models."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.needs import Asks, Role, tokens_in
from engine.operator import Params
from engine.operators._prompts import Template, shipped
from engine.operators.generators._ultraprompt_principles import GENERAL, PRINCIPLES
from engine.operators.generators._ultraprompt_tree import Scale
from engine.request import Capability, Sampling

HEADERS = ("[System]", "[User]", "[Assistant]")
BEGINS, ENDS = "--- prompt begins ---", "--- prompt ends ---"
"""The lines between which a rewriter that was trained on trees (SinglePO) puts its prompt."""

REWRITER, RESPONDER, REWARD = "rewriter", "responder", "reward"


class UltrapromptPrompts(Params):
    """The prompts. `marked` and its system prompt are those of `mode: offline`, `rate` that of `reward: rating`."""

    rewrite_system: Annotated[str, Template()] = shipped("ultraprompt/rewrite_system")
    rewrite: Annotated[str, Template("instruction", "principle")] = shipped("ultraprompt/rewrite")
    marked_system: Annotated[str, Template()] = shipped("ultraprompt/marked_system")
    marked: Annotated[str, Template("instruction", "principle")] = shipped("ultraprompt/marked")
    answer: Annotated[str, Template("instruction")] = shipped("ultraprompt/answer")
    rate: Annotated[str, Template("instruction", "response")] = shipped("ultraprompt/rate")


class UltrapromptParams(Params):
    """How a tree grows; the defaults are the published script's.

    - `w` weighs exploration and suits rewards between 0 and 1; `scale: spread` measures it in standard deviations of
      the tree's own rewards, for reward models with other units.
    - `samples` answers are drawn for each instruction. `responder_form: headers` writes them with a base model after
      the template `prompts.answer` (`stop` ends them), `chat` asks a chat model.
    - `reward: model` asks a reward model for its number, `rating` expects a number from 1 to `points` of what a model
      would say next to `prompts.rate`.
    - `mode: online` asks a chat model for rewrites and takes its reply as it is; `offline` asks a rewriter that was
      trained on earlier trees and writes between marker lines.
    - `duplicates`: a rewrite that the tree already holds is kept, asked for again, or dropped with its iteration.
    - A rewrite that is longer than `rewrite_max_tokens` has failed, an answer may be cut off at its bound.
    - A rewriting, and the root's simulation, is tried `tries` times in a row. `max_failures` are the failed tries and
      failed simulations that a tree survives (the published code has no such bound); one more ends it unfinished.
    - `on_failure`: a model that gives up fails the row, so that the next build goes on with the same tree; or the
      tree is kept as far as it has grown.
    - `principles` maps categories to names to sentences; those of the category `general` hold for every seed.
    """

    iterations: int = Field(20, ge=1)
    w: float = Field(0.1, ge=0)
    scale: Scale = "none"
    samples: int = Field(3, ge=1)
    responder_form: Literal["headers", "chat"] = "headers"
    reward: Literal["model", "rating"] = "model"
    points: int = Field(5, ge=2, le=9)
    mode: Literal["online", "offline"] = "online"
    duplicates: Literal["keep", "retry", "drop"] = "keep"
    tries: int = Field(4, ge=1)
    max_failures: int = Field(8, ge=0)
    on_failure: Literal["fail", "keep"] = "fail"
    principles: dict[str, dict[str, str]] = Field(
        default_factory=lambda: {category: dict(own) for category, own in PRINCIPLES.items()}
    )
    general: str = GENERAL
    prompts: UltrapromptPrompts = UltrapromptPrompts()
    rewrite_temperature: float | None = Field(None, ge=0)
    rewrite_max_tokens: int = Field(4096, ge=1)
    response_temperature: float = Field(1.0, ge=0)
    response_max_tokens: int = Field(1024, ge=1)
    stop: list[str] = Field(default_factory=lambda: list(HEADERS))

    @model_validator(mode="after")
    def _can_grow(self) -> UltrapromptParams:
        if not self.principles.get(self.general):
            raise ValueError(f"general: principles has no category {self.general} with a principle in it")
        if self.samples > 1 and self.response_temperature == 0:
            raise ValueError(f"samples: {self.samples} answers at temperature 0 are copies; raise response_temperature")
        return self

    @cached_property
    def rewriting(self) -> Sampling:
        """How rewrites are drawn; what is not given is the model's own."""
        return Sampling(temperature=self.rewrite_temperature, max_tokens=self.rewrite_max_tokens)

    @cached_property
    def answering(self) -> Sampling:
        """How answers are drawn; a chat model needs no stop."""
        stop = tuple(self.stop) if self.responder_form == "headers" else ()
        return Sampling(temperature=self.response_temperature, max_tokens=self.response_max_tokens, stop=stop)

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """The tokens of a rating, from the worst to the best."""
        return tuple(str(point) for point in range(1, self.points + 1))

    @cached_property
    def rewrite_prompts(self) -> tuple[str, str]:
        """The rewriter's system prompt and its template."""
        own = self.prompts
        online = self.mode == "online"
        return (own.rewrite_system, own.rewrite) if online else (own.marked_system, own.marked)


def roles(params: UltrapromptParams) -> Mapping[str, Role]:
    """What each of the three models must offer."""
    answers = Capability.GENERATE if params.responder_form == "headers" else Capability.CHAT
    scores = Capability.REWARD if params.reward == "model" else Capability.NEXT_TOKEN_LOGPROBS
    return {
        REWRITER: Role(frozenset({Capability.CHAT})),
        RESPONDER: Role(frozenset({answers})),
        REWARD: Role(frozenset({scores})),
    }


def asks(params: UltrapromptParams) -> list[Asks]:
    """A tree that grows whole takes the lower number of each call; the upper one is not passed by any tree."""
    grown, failed = params.iterations, params.max_failures
    judged = ((grown + 1) * params.samples, (grown + failed + params.tries) * params.samples)
    sentences = [sentence for own in params.principles.values() for sentence in own.values()]
    shortest, longest = min(sentences, key=len), max(sentences, key=len)
    rewrite, response = params.rewrite_max_tokens, params.response_max_tokens
    few, many = tokens_in(*params.rewrite_prompts, shortest)[0], tokens_in(*params.rewrite_prompts, longest)[1]
    answer = tokens_in(params.prompts.answer if params.responder_form == "headers" else "")
    rate = tokens_in(params.prompts.rate if params.reward == "rating" else "")
    return [
        Asks((grown, grown + failed), REWRITER, (few, many + rewrite), reply=(0, rewrite)),  # a rewrite's rewrite
        Asks(judged, RESPONDER, (answer[0], answer[1] + rewrite), reply=(0, response)),
        Asks(judged, REWARD, (rate[0], rate[1] + response), reply=(0, 1)),
    ]


def gives(params: UltrapromptParams, rows: int) -> tuple[int, int]:
    """The root at least, and a node for each iteration at most."""
    return rows, rows * (params.iterations + 1)
