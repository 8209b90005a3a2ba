"""A trainer's answers as rows that a scorer can read, and SQL over them.

`{"id", "prompt", "response"}` becomes the columns that `plan.rewards.answer_types` names, beside those that rewards
read of the prompt's own row.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from engine.plan.sql import first_line
from engine.sandbox import sandbox, seal
from engine.schema import ROW_ID, is_text


def answer_rows(asked: Sequence[Mapping[str, Any]], columns: Mapping[str, pa.DataType]) -> pa.Table:
    """The answers as a table; a prompt that is no text where texts are wanted, or the other way round, is null.

    Raises:
        KeyError, TypeError: what was asked isn't of that form.
    """
    rows = [_row(one["id"], one["prompt"], one["response"], is_text(columns["prompt"])) for one in asked]
    return pa.Table.from_pylist(rows, schema=pa.schema(list(columns.items())))


def with_rows(answers: pa.Table, rows: pa.Table) -> pa.Table:
    """The answers beside columns of the rows that they answer to."""
    if rows.num_columns == 1:
        return answers
    found = rows.take(pc.index_in(answers[ROW_ID], value_set=rows[ROW_ID].combine_chunks()))
    for name in rows.column_names:
        if name != ROW_ID:
            answers = answers.append_column(name, found[name])
    return answers


def _row(row_id: str, prompt: str | list[dict[str, Any]], response: str, as_text: bool) -> dict[str, Any]:
    said = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    turns = [{"role": turn["role"], "content": turn.get("content")} for turn in said]
    return {
        ROW_ID: row_id,
        "prompt": prompt if as_text is isinstance(prompt, str) else None,
        "messages": [*turns, {"role": "assistant", "content": response}],
        "instruction": next((turn["content"] for turn in turns if turn["role"] == "user"), None),
        "response": response,
    }


class Expressions:
    """Users' expressions over tables in memory, in the sandbox that all of their SQL runs in."""

    def __init__(self, home: Path) -> None:
        self._con = sandbox(home, threads=1)
        seal(self._con)
        self._busy = threading.Lock()

    def numbers(self, text: str, table: pa.Table) -> tuple[list[float | None], dict[int, str]]:
        """The expression's value for each row, and why some have none; a row that it fails at costs no other."""
        try:
            return self._numbers(text, table), {}
        except duckdb.Error as e:
            if table.num_rows == 1:
                return [None], {0: first_line(e)}
        alone = [self.numbers(text, table.slice(i, 1)) for i in range(table.num_rows)]
        wrong = {i: reasons[0] for i, (_, reasons) in enumerate(alone) if reasons}
        return [value for values, _ in alone for value in values], wrong

    def _numbers(self, text: str, table: pa.Table) -> list[float | None]:
        with self._busy:
            self._con.register("given", table)
            try:
                rows = self._con.execute(f"SELECT ({text}\n)::DOUBLE FROM given").fetchall()
            finally:
                self._con.unregister("given")
        return [value for (value,) in rows]

    def close(self) -> None:
        """Let go of the connection."""
        self._con.close()
