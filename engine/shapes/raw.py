"""Raw: columns of any kind, untouched. What no other shape recognises, and what `shape: raw` asks for."""

from __future__ import annotations

import pyarrow as pa

from engine.shapes._shape import Filled, Shape


def detect(schema: pa.Schema) -> bool:
    """Anything that has a column."""
    return len(schema) > 0


def fill(table: pa.Table) -> Filled:
    """The table as it is."""
    return table, []


RAW = Shape("raw", "at least one column", detect, (), fill)
