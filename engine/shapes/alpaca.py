"""Alpaca: `instruction`, an optional `input`, `output`; LLaMA-Factory's `system` and `history` too.

The user turn is the instruction, with the input under an empty line where there is one (tatsu-lab/stanford_alpaca puts
both into one prompt). An empty output is an answer like any other. An empty `system` or `input` counts as none, and a
`history` that isn't made of lists of text is just a column.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.schema import is_list, is_text
from engine.shapes._shape import Filled, Problem, Shape, add, null_rows, one, text_fields
from engine.shapes._talk import Talk, joined, last_assistant, single
from engine.shapes._turns import system_turn


def detect(schema: pa.Schema) -> bool:
    """Text columns `instruction` and `output`."""
    return {"instruction", "output"} <= text_fields(schema)


def fill(table: pa.Table) -> Filled:
    """Adds `messages` and `response`; `instruction` stays the source's own, without the input."""
    output = one(table, "output")
    turns, problems = asked(table)
    talk = joined([turns, single(output, "assistant")])
    filled = add(table, {"messages": talk.column(), "response": last_assistant(talk)})
    return filled, [*problems, *null_rows(output, "output")]


def asked(table: pa.Table) -> tuple[Talk, list[Problem]]:
    """All turns before the answer: the system's, those of the history, the instruction with its input."""
    history, problems = _history(table)
    instruction = one(table, "instruction")
    turns = [system_turn(table), history, single(_question(instruction, table), "user")]
    return joined(turns), [*null_rows(instruction, "instruction"), *problems]


def _question(instruction: pa.Array, table: pa.Table) -> pa.Array:
    if "input" not in text_fields(table.schema):
        return instruction
    extra = one(table, "input")
    given = pc.fill_null(pc.not_equal(extra, ""), False)
    return pc.if_else(given, pc.binary_join_element_wise(instruction, extra, "\n\n"), instruction)


def _history(table: pa.Table) -> tuple[Talk, list[Problem]]:
    """Earlier turns: `history` is a list of [question, answer] pairs."""
    kind = table.schema.field("history").type if "history" in table.column_names else pa.null()
    if not (is_list(kind) and is_list(kind.value_type) and is_text(kind.value_type.value_type)):
        return single(pa.nulls(len(table), pa.string()), "user"), []
    column = one(table, "history")
    pairs = column.flatten()
    texts = pairs.flatten()
    rows = np.repeat(np.arange(len(column)), _sizes(column))
    sizes = _sizes(pairs)
    places = np.arange(len(texts)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    roles = pa.array(["user", "assistant"]).take(pa.array(places % 2))
    lengths = np.bincount(rows, weights=sizes, minlength=len(column)).astype(np.int64)
    wrong = {*rows[sizes != 2], *np.repeat(rows, sizes)[np.asarray(texts.is_null())]}
    problems = [Problem(int(row), "history", "not a list of [question, answer] pairs of text") for row in sorted(wrong)]
    return Talk({"role": roles, "content": texts}, lengths, lengths > 0), problems


def _sizes(column: pa.Array) -> np.ndarray:
    return np.asarray(pc.fill_null(pc.list_value_length(column), 0), dtype=np.int64)


ALPACA = Shape("alpaca", "text columns instruction and output", detect, ("messages", "tools"), fill)
