"""Row ids of a source: from a row's content and how often the same content stood before it in the whole source.

So a row keeps its id when rows are appended, reordered or moved to other files, and when columns that don't say what it
is are added. Null and absent fields count as one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from engine.errors import SetwrightError
from engine.schema import PARENT_ID, ROW_ID, content_digests, digest
from engine.shapes import Problem


class Seen:
    """How often a digest was counted before; 12 bytes a row, in sorted runs that merge as they grow."""

    def __init__(self) -> None:
        self._runs: list[np.ndarray] = []

    def count(self, digests: Sequence[str]) -> np.ndarray:
        """Count these digests (24 hex characters each), and say for each how often it stood before."""
        keys = np.frombuffer(bytes.fromhex("".join(digests)), "S12")
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]  # looked up in their order, each search begins where the last one ended
        times = np.arange(len(keys)) - np.searchsorted(ordered, ordered, "left")
        for run in self._runs:
            times += np.searchsorted(run, ordered, "right") - np.searchsorted(run, ordered, "left")
        self._keep(ordered)
        before = np.empty_like(times)
        before[order] = times
        return before

    def _keep(self, run: np.ndarray) -> None:
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        self._runs.append(run)


class RowIds:
    """Gives the rows of one source their ids, part after part."""

    def __init__(self, content: Sequence[str], schema: pa.Schema) -> None:
        """`content` names the columns that say what a row is (empty: all); `schema` is that of the filled table.

        Raises:
            SetwrightError: the source has a row_id or parent_id that is not text.
        """
        self._seen = Seen()
        self._content = [n for n in content or schema.names if n in schema.names and n not in (ROW_ID, PARENT_ID)]
        for name in (ROW_ID, PARENT_ID):
            if name in schema.names and not pa.types.is_string(schema.field(name).type):
                raise SetwrightError(
                    f"the source's column {name} is {schema.field(name).type}, and the engine's {name} is text",
                    cure="rename the column",
                )

    def give(self, table: pa.Table) -> tuple[pa.Array, list[Problem]]:
        """An id for each row, and the rows whose own `row_id` is null or stood before.

        A source's own column `row_id` is the identity of its rows; else it is derived from their content.
        """
        if ROW_ID in table.column_names:
            return self._own(table)
        digests = content_digests(_as_structs(table.select(self._content)), ["row"])
        again = self._seen.count(digests)
        for row in np.flatnonzero(again):
            digests[row] = digest("again", digests[row], str(again[row]))
        return pa.array(digests, pa.string()), []

    def _own(self, table: pa.Table) -> tuple[pa.Array, list[Problem]]:
        ids = table[ROW_ID].combine_chunks()
        again = self._seen.count(content_digests(table, [ROW_ID]))
        missing = np.asarray(ids.is_null())
        reasons = {int(row): "null, where a source's own row_id must name every row" for row in np.flatnonzero(missing)}
        for row in np.flatnonzero((again > 0) & ~missing):
            reasons[int(row)] = f"{ids[row].as_py()!r} names an earlier row already"
        return ids, [Problem(row, ROW_ID, reasons[row]) for row in sorted(reasons)]


def _as_structs(table: pa.Table) -> pa.Table:
    """One column of structs, in whose digest a null field counts as absent."""
    columns = [column.combine_chunks() for column in table.columns]
    return pa.table({"row": pa.StructArray.from_arrays(columns, table.column_names)})
