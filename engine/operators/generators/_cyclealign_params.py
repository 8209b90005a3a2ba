"""What `generate: cyclealign` is told, what it reads and writes, and the calls that it makes of that."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from string import ascii_uppercase
from typing import Annotated, Literal

import pyarrow as pa
from pydantic import Field, model_validator

from engine.needs import Asks, Role, Side, tokens_in
from engine.operator import Params, Reads
from engine.operators._prompts import Template, shipped
from engine.request import Capability, Sampling
from engine.schema import MESSAGES, PROMPT_TYPE, TEXT_TYPE, ColumnType, is_list, is_text

LETTERS = ascii_uppercase
WHITEBOX, BLACKBOX = "whitebox", "blackbox"
STATIC, DYNAMIC = "static", "dynamic"

TEXTS_TYPE = ColumnType("list<string>", lambda t: is_list(t) and is_text(t.value_type))
INDICES_TYPE = ColumnType("list<integer>", lambda t: is_list(t) and pa.types.is_integer(t.value_type))
_INDICES = pa.list_(pa.int8())

ROLES = {
    WHITEBOX: Role(frozenset({Capability.CHAT, Capability.LOGLIKELIHOOD})),
    BLACKBOX: Role(frozenset({Capability.CHAT})),
}
_DEMOS = Side(
    {"prompt": Reads(PROMPT_TYPE), "responses": Reads(TEXTS_TYPE), "ranking": Reads(INDICES_TYPE)}, optional=True
)
SIDES = {STATIC: _DEMOS, DYNAMIC: _DEMOS}


class Status(StrEnum):
    """How far a prompt came."""

    RANKED = "ranked"  # by both
    FEW_ANSWERS = "few_answers"  # there are no two different answers to rank
    UNSCORED = "unscored"  # the white box gives an answer no finite likelihood
    UNREADABLE = "unreadable"  # no reply of the black box is a ranking


WRITES = {
    "prompt_id": pa.string(),  # the row's id where the prompts have none
    "prompt": MESSAGES,
    "responses": pa.list_(pa.string()),  # different ones, the white box's first
    "response_source": pa.list_(pa.string()),  # whitebox or extra
    "duplicates": pa.int32(),  # answers left out because they are the same as one before
    "empty": pa.int32(),  # answers left out because they say nothing
    "cut": pa.int32(),  # answers of the white box that ended at max_tokens; they are ranked like others
    "demo_ids": pa.list_(pa.string()),  # row ids of the demonstrations that were shown, the static ones first
    "label_order": _INDICES,  # the answer behind each letter of the last ranking prompt
    "blackbox_raw": pa.string(),  # the last reply
    "blackbox_tries": pa.int32(),
    "blackbox_ranking": _INDICES,  # indices of responses, the best first; null where no reply can be read
    "whitebox_scores": pa.list_(pa.float64()),  # log-probability per token, end of turn included
    "whitebox_ranking": _INDICES,
    "agreement_ranking": _INDICES,
    "agreement_ratio": pa.float32(),  # of the answers, those in the agreement
    "train_ranking": _INDICES,  # null where used_for_training is false
    "used_for_training": pa.bool_(),
    "used_as_demo": pa.bool_(),  # whether the agreement is long enough to be shown
    "status": pa.string(),
    "reason": pa.string(),  # null for a ranked row
}


class CyclealignPrompts(Params):
    """The black box's prompt, and the layout of a case in it, which demonstrations share with the query."""

    rank: Annotated[str, Template("demonstrations", "case")] = shipped("cyclealign/rank")
    case: Annotated[str, Template("prompt", "answers")] = shipped("cyclealign/case")


class CyclealignParams(Params):
    """One pass over the prompts of a cycle. The paper's settings could not be read: all defaults are ours.

    - `n` answers are drawn from the white box; the first `extra` of the column `extra_responses` join them. With
      `n: 0` nothing but those are ranked.
    - The black box sees the first `static_demos` rows of the side table `static` and the last `dynamic_demos` ones of
      `dynamic`, each cut to about `max_demo_chars` characters; it is asked up to `tries` times.
    - An agreement becomes a demonstration with `min_agreement` answers, or with both of two.
    - `train_label`: the black box's ranking, or the agreement. The latter is in the white box's own order already, so
      that RRHF's rank term on it is zero when training begins.
    """

    n: int = Field(5, ge=0, le=len(LETTERS))
    extra: int = Field(0, ge=0, le=len(LETTERS))
    static_demos: int = Field(2, ge=0)
    dynamic_demos: int = Field(2, ge=0)
    max_demo_chars: int = Field(4000, ge=200)
    tries: int = Field(2, ge=1)
    min_agreement: int = Field(3, ge=2)
    train_label: Literal["blackbox", "agreement"] = "blackbox"
    prompts: CyclealignPrompts = CyclealignPrompts()
    temperature: float = Field(1.0, gt=0)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int = Field(512, ge=1)
    rank_temperature: float = Field(0.0, ge=0)
    rank_max_tokens: int = Field(64, ge=1)

    @model_validator(mode="after")
    def _answers_have_letters(self) -> CyclealignParams:
        if not 2 <= self.n + self.extra <= len(LETTERS):
            raise ValueError(
                f"n and extra: 2 to {len(LETTERS)} answers can be ranked, and this is {self.n + self.extra}"
            )
        return self

    @cached_property
    def answering(self) -> Sampling:
        """How answers are drawn."""
        return Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)

    @cached_property
    def ranking(self) -> Sampling:
        """How the black box replies."""
        return Sampling(temperature=self.rank_temperature, max_tokens=self.rank_max_tokens)


def reads(params: CyclealignParams) -> Mapping[str, Reads]:
    """The prompt, and `extra_responses` where some are to be taken."""
    columns = {
        "prompt": Reads(PROMPT_TYPE, default=("prompt", "messages", "instruction")),
        "prompt_id": Reads(TEXT_TYPE, optional=True),
    }
    return columns | ({"extra_responses": Reads(TEXTS_TYPE)} if params.extra else {})


def asks(params: CyclealignParams) -> list[Asks]:
    """Answers, their likelihoods, and a ranking; a prompt without two different answers takes the first of these."""
    few, many = tokens_in(params.prompts.rank, params.prompts.case)
    answers, demos = params.n + params.extra, params.static_demos + params.dynamic_demos
    shown = tokens_in("-" * (demos * (params.max_demo_chars + len(params.prompts.case))))[1]
    own = params.n * (params.max_tokens + 4) + params.extra * 4  # with their letters
    drawn = [Asks((params.n, params.n), WHITEBOX, reply=(1, params.max_tokens))] if params.n else []
    return [
        *drawn,
        Asks((0, answers), WHITEBOX, reply=(1, params.max_tokens + 1)),
        Asks((0, params.tries), BLACKBOX, (few, many + shown + own), reply=(1, params.rank_max_tokens)),
    ]
