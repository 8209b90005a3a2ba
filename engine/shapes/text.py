"""Plain text: a column `text`, and no conversation to be made of it."""

from __future__ import annotations

import pyarrow as pa

from engine.shapes._shape import Filled, Shape, null_rows, one, text_fields


def detect(schema: pa.Schema) -> bool:
    """A text column `text`."""
    return "text" in text_fields(schema)


def fill(table: pa.Table) -> Filled:
    """The table as it is."""
    return table, null_rows(one(table, "text"), "text")


TEXT = Shape("text", "a text column named text", detect, ("text",), fill)
