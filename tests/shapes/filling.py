"""Fills rows through a shape: `from shapes.filling import filled`."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from engine.shapes import SHAPES

TEXT = pa.string()
ROLE_CONTENT = pa.list_(pa.struct({"role": TEXT, "content": TEXT}))
FROM_VALUE = pa.list_(pa.struct({"from": TEXT, "value": TEXT}))


def said(*turns: str) -> list[dict[str, str]]:
    """Messages from `user: hi`, `assistant: hello`."""
    pairs = (turn.partition(": ") for turn in turns)
    return [{"role": role, "content": content} for role, _, content in pairs]


def filled(
    shape: str, rows: list[dict[str, Any]], **types: pa.DataType
) -> tuple[list[dict[str, Any]], list[tuple[Any, ...]]]:
    """The filled rows and the problems; the filled schema must be that of an empty table and of a chunked one."""
    table = pa.Table.from_pylist(rows, schema=pa.schema(types))
    assert SHAPES[shape].detect(table.schema), f"not {shape}: {table.schema}"
    result, problems = SHAPES[shape].fill(table)
    result.validate(full=True)
    assert result.num_rows == len(rows)
    assert SHAPES[shape].fill(table.schema.empty_table())[0].schema == result.schema
    pieces = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    assert SHAPES[shape].fill(pieces)[0].equals(result), "chunks must not show"
    for name in table.column_names:
        assert name in result.column_names, f"{name} was lost"
    return result.to_pylist(), [tuple(problem) for problem in problems]
