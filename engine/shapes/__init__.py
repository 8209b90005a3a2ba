"""The shapes in which data sets lay out their rows, one file each, and how one is told from another.

Detection asks the shapes in the order of the table below, most specific first: a row of preferences may also have
`messages`, and one of `messages` may also have `prompt` or `text`. The first that recognises the columns' names and
types is taken; the last one takes anything.
"""

from __future__ import annotations

import pyarrow as pa

from engine.shapes._shape import Problem, Shape
from engine.shapes.alpaca import ALPACA
from engine.shapes.loose import Loose
from engine.shapes.openai import OPENAI
from engine.shapes.preference import PREFERENCE
from engine.shapes.prompt_completion import PROMPT_COMPLETION
from engine.shapes.raw import RAW
from engine.shapes.sharegpt import SHAREGPT
from engine.shapes.text import TEXT

SHAPES = {shape.name: shape for shape in (PREFERENCE, OPENAI, SHAREGPT, ALPACA, PROMPT_COMPLETION, TEXT, RAW)}
"""By name, in the order of detection."""

VERSION = 1
"""Counts up when a shape fills the same columns otherwise; part of a source's identity."""


def detect(schema: pa.Schema) -> Shape:
    """The first shape that recognises the columns."""
    return next(shape for shape in SHAPES.values() if shape.detect(schema))


__all__ = ["SHAPES", "VERSION", "Loose", "Problem", "Shape", "detect"]
