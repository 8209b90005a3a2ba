"""What a spec may say of a reward: one that a trainer computes itself, or one that the build gives it as it runs.

The trainer's own are those of `trainers/rewards/`, with the same names and defaults. The build's are a score of the
answer, as a table would have it, or a SQL expression; whether there is such a scorer is for the spec's loader to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from engine.operator import Params

Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]


class LengthReward(Params):
    """`clip(l / scale, low, high)` for answers of length l."""

    use: Literal["length"]
    name: Text
    scale: float = Field(gt=0)
    low: float
    high: float
    unit: Literal["tokens", "characters", "words"] = "tokens"

    @model_validator(mode="after")
    def _low_below_high(self) -> LengthReward:
        if not self.low < self.high:
            raise ValueError(f"low: {self.low:g} must be below high: {self.high:g}")
        return self


class ModelReward(Params):
    """A logit, or a probability, of a sequence classifier that transformers loads beside the policy."""

    use: Literal["model"]
    name: Text
    model: Text = Field(exclude=True)  # its identity is hashed, not its place
    index: int = Field(0, ge=0)  # which of its labels
    output: Literal["logit", "probability"] = "logit"
    reads: Literal["prompt_and_response", "response"] = "prompt_and_response"
    revision: Text | None = Field(None, exclude=True)
    max_length: int = Field(1024, ge=2)  # tokens; what is longer loses its beginning
    batch_size: int = Field(32, ge=1, exclude=True)


class CommandReward(Params):
    """A program of one's own: JSON lines in, JSON lines out. Its identity is the command's text, not its content."""

    use: Literal["command"]
    names: Texts
    command: Texts
    timeout_s: float = Field(600, gt=0, exclude=True)  # how long it may be silent while answers are due


class ScoreReward(Params):
    """A score of the answer by a scorer of the engine.

    `column` is one of its columns, or a SQL expression over them and over those of `SqlReward`; it may be left out
    where the scorer has a single column.
    """

    name: Text
    score: Text = Field(exclude=True)  # hashed with its version and all of its params
    model: Text | None = Field(None, exclude=True)
    params: dict[str, Any] = Field({}, exclude=True)
    columns: dict[str, Text] = Field({}, exclude=True)
    column: Text | None = None


class SqlReward(Params):
    """A SQL expression over the answer (`prompt`, `instruction`, `response`, `messages`) and its prompt's row."""

    name: Text
    sql: Text


def _never(schema: dict[str, Any]) -> None:
    """Make a JSON Schema one that nothing meets."""
    schema.clear()
    schema["not"] = {}


class OtherReward(Params):
    """None of these, and so refused; what else it says is not looked at."""

    model_config = ConfigDict(extra="ignore", json_schema_extra=_never)

    use: Literal["length", "model", "command"]

    @model_validator(mode="before")
    @classmethod
    def _says_nothing(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "use" not in value:
            raise ValueError("a reward is a mapping that has one of: use, score, sql")
        return value


_OWN = {"length": "a length rule", "model": "a classifier", "command": "a program"}


def _kind(value: Any) -> str:
    """The tag of a reward's form; none of them is a key of a reward, so that errors can be located."""
    if isinstance(value, Params):
        value = dict(value)
    if not isinstance(value, dict):
        return "another"
    if "score" in value:
        return "a score"
    return "an expression" if "sql" in value else _OWN.get(str(value.get("use")), "another")


Reward = Annotated[
    Annotated[LengthReward, Tag("a length rule")]
    | Annotated[ModelReward, Tag("a classifier")]
    | Annotated[CommandReward, Tag("a program")]
    | Annotated[ScoreReward, Tag("a score")]
    | Annotated[SqlReward, Tag("an expression")]
    | Annotated[OtherReward, Tag("another")],
    Discriminator(_kind),
]

SERVED = (ScoreReward, SqlReward)
"""What the build gives a trainer as it runs."""


def reward_names(rewards: Iterable[Any]) -> list[str]:
    """What they are called in logs and metrics, in their order; a program may give several."""
    return [name for each in rewards for name in (each.names if isinstance(each, CommandReward) else (each.name,))]
