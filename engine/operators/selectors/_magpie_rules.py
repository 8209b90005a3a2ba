"""The rules of the Magpie filters: the presets, and the parameters that override them one by one."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal

from pydantic import Field, model_validator

from engine.operator import Params

Quality = Literal["very poor", "poor", "average", "good", "excellent"]
Difficulty = Literal["very easy", "easy", "medium", "hard", "very hard"]
RuleName = Literal[
    "quality", "difficulty", "reward_min", "reward_above", "reward_difference_above", "no_colon", "max_newlines",
    "distance_above", "duplicate_distance", "longest", "no_colon_in_turn_2",
]  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """The rules in force; a rule that is empty, None or false is off."""

    quality: tuple[str, ...] = ()
    difficulty: tuple[str, ...] = ()
    reward_min: float | None = None
    reward_above: float | None = None
    reward_difference_above: float | None = None
    no_colon: bool = False
    max_newlines: int | None = None
    distance_above: float | None = None
    duplicate_distance: float | None = None
    longest: int | None = None
    no_colon_in_turn_2: bool = False

    @property
    def compares(self) -> bool:
        """Whether the rows' vectors are compared."""
        return self.distance_above is not None or self.duplicate_distance is not None


GOOD = ("good", "excellent")

PRESETS = {
    "none": Rules(),
    "notebook": Rules(quality=GOOD, reward_above=-10, no_colon=True, duplicate_distance=0.05, longest=300_000),
    "air": Rules(
        quality=GOOD, difficulty=("medium", "hard", "very hard"), distance_above=0, reward_difference_above=0,
        longest=300_000,
    ),
    "pro": Rules(quality=("average", *GOOD), reward_min=-10, longest=300_000),
    "mt": Rules(quality=GOOD, max_newlines=4, longest=500_000, no_colon_in_turn_2=True),
}  # fmt: skip
"""The official notebook, the paper's Magpie-Air filter, and the cards of Magpie-Pro-300K and Llama-3.1-Pro-MT.

The paper gives a lowest reward of -12 for Pro where its card says -10. Rules that no source states in full are left
out: the rest of the Pro card's list, and how responses that open with "Step 1" were thinned out in MT.
"""


class MagpieParams(Params):
    """A preset, rules in the place of its own, and rules of it that are left out (`without`).

    - `quality`, `difficulty`: the labels that pass. `reward_min` (at least) and `reward_above` (more than) look at the
      reward of the answer, `reward_difference_above` at how much it is above a base model's.
    - `no_colon`: an instruction may not end with a colon; `no_colon_in_turn_2`: nor may the second user turn, looked
      at after the length. `max_newlines`: of an instruction that is not about code.
    - `distance_above`: the squared L2 distance of unit vectors to the nearest other row; `duplicate_distance`: a row
      that lies nearer than this to an earlier row is dropped (0.05 is a cosine of 0.975).
    - `longest`: so many rows with the longest responses are kept, after all other rules.
    """

    preset: Literal["none", "notebook", "air", "pro", "mt"] = "notebook"
    without: list[RuleName] = Field(default_factory=list)
    quality: list[Quality] | None = Field(None, min_length=1)
    difficulty: list[Difficulty] | None = Field(None, min_length=1)
    reward_min: float | None = None
    reward_above: float | None = None
    reward_difference_above: float | None = None
    no_colon: bool | None = None
    max_newlines: int | None = Field(None, ge=0)
    distance_above: float | None = Field(None, ge=0)
    duplicate_distance: float | None = Field(None, gt=0, le=4)
    longest: int | None = Field(None, ge=1)
    no_colon_in_turn_2: bool | None = None

    @model_validator(mode="after")
    def _either_given_or_left_out(self) -> MagpieParams:
        both = [name for name in self.without if getattr(self, name) is not None]
        if both:
            raise ValueError(f"{', '.join(both)}: given, and left out by `without`")
        return self

    @cached_property
    def rules(self) -> Rules:
        """The preset's rules under those that are given."""
        off: dict[str, Any] = {name: getattr(Rules(), name) for name in self.without}
        given = {f.name: getattr(self, f.name) for f in fields(Rules) if getattr(self, f.name) is not None}
        own: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
        }
        return replace(PRESETS[self.preset], **off, **own)
