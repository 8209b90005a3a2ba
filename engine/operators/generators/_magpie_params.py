"""The parameters of `generate: magpie`, and what follows from them for a turn."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engine.operator import Params
from engine.operators.generators._magpie_tasks import GRIDS, PLAIN, Setting, Task
from engine.operators.generators._pre_query import FAMILIES, Family
from engine.request import Sampling

ATTEMPTS = 1000
"""A user turn is drawn less often than this."""


class MagpieParams(Params):
    """What is drawn and how.

    - `rows`: conversations to make where the table has no `from`; with one, each of its rows gives a conversation.
    - `template`: the family whose prompts and stops are used, or `auto` to read both off the model's chat template.
      Unless they are given, `newline_stop`, `stop_words`, `sanitize` and `forbid_headings` are those of the official
      scripts for a family, and off for `auto`: a newline stop loses questions of several lines, and the stop word
      "assistant" cuts every instruction that holds the word.
    - `tasks`: system texts by share, for the user turns alone; a row's own `task` and `system_prompt` columns go first.
    - `grid`: settings by share (`air` and `pro` are the paper's) in the place of `temperature` and `top_p`.
    - `redraws`: how often a user turn that is empty, or begins with a forbidden heading, is drawn again.
    - `max_tokens`: of an instruction (2048 unless given) and of a response (4096), which may have its own.
    """

    rows: int = Field(1, ge=1)
    template: Literal[
        "auto", "llama-3", "llama-3.1", "llama-3.3", "qwen2", "qwen2.5", "gemma-1.1", "gemma-2", "phi-3",
        "phi-3-small", "mistral", "llama-2", "yi-1.5",
    ] = "auto"  # fmt: skip
    turns: int = Field(1, ge=1)
    tasks: list[Task] = Field(default_factory=lambda: [Task(task=PLAIN)], min_length=1)
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    grid: Literal["air", "pro"] | list[Setting] | None = None
    max_tokens: int | None = Field(None, ge=1)
    newline_stop: bool | None = None
    stop_words: list[str] | None = None
    sanitize: bool | None = None
    forbid_headings: bool | None = None
    redraws: int = Field(8, ge=0, lt=ATTEMPTS)
    n_responses: int = Field(1, ge=1)
    response_temperature: float = Field(0.0, ge=0)
    response_top_p: float = Field(1.0, gt=0, le=1)
    response_max_tokens: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _says_nothing_in_vain(self) -> MagpieParams:
        if self.grid is not None and {"temperature", "top_p"} & self.model_fields_set:
            raise ValueError("grid: the settings stand in the grid; drop temperature and top_p")
        if self.grid == []:
            raise ValueError("grid: give at least one setting")
        if self.n_responses > 1 and self.response_temperature == 0:
            raise ValueError(
                f"n_responses: {self.n_responses} answers at temperature 0 are copies of one; "
                "set response_temperature (the paper's preference data: 0.8)"
            )
        return self

    @property
    def family(self) -> Family | None:
        """The family that is named; None for `auto`."""
        return FAMILIES.get(self.template)

    def settings(self) -> list[Setting]:
        """The sampling settings of user turns."""
        if isinstance(self.grid, str):
            return GRIDS[self.grid]
        return self.grid or [Setting(temperature=self.temperature, top_p=self.top_p)]

    def stops_by(self, turn: int) -> tuple[str, ...]:
        """The stop texts of a user turn besides the special tokens: words, and the newline where it ends one."""
        family = self.family
        words = self.stop_words if self.stop_words is not None else family.words if family else ()
        by_default = family is not None and (turn > 0 or family.newline)
        newline = by_default if self.newline_stop is None else self.newline_stop
        return (*words, "\n") if newline else tuple(words)

    def rule(self, name: Literal["sanitize", "no_headings"]) -> bool:
        """Whether the sanitizer, or the rule against headings, is on."""
        given = self.sanitize if name == "sanitize" else self.forbid_headings
        return given if given is not None else bool(self.family and getattr(self.family, name))

    def response_sampling(self) -> Sampling:
        """How responses are drawn: greedy unless the params say otherwise."""
        limit = self.response_max_tokens or self.max_tokens or 4096
        return Sampling(temperature=self.response_temperature, top_p=self.response_top_p, max_tokens=limit)
