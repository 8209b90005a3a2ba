"""The invariants that each kind of operator must keep; checked on every part before it is written.

    source     every row has an id
    generate   new rows, each with its own id and a parent among the rows that were given (or none)
    score      exactly the rows that were given, in their order; new columns only
    select     exactly one verdict for each row; ranks for the selected, reasons for the dropped

A broken law is an error in the operator, never in the data.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import SetwrightError
from engine.schema import PARENT_ID, ROW_ID, VERDICT, is_embedding


class LawError(SetwrightError):
    """An operator broke a law of its kind."""


def conform(table: pa.Table, writes: Mapping[str, pa.DataType], operator: str) -> pa.Table:
    """The declared columns in the declared types (safe casts only), after row_id and parent_id where there are any.

    Raises:
        LawError: a column is missing or undeclared, or its type can't hold the declared one's values.
    """
    lead = [name for name in (ROW_ID, PARENT_ID) if name in table.column_names]
    extra = set(table.column_names) - set(lead) - set(writes)
    missing = set(writes) - set(table.column_names)
    if extra or missing:
        said = "; ".join(
            f"{word} {', '.join(sorted(names))}"
            for word, names in (("undeclared", extra), ("missing", missing))
            if names
        )
        raise LawError(f"{operator} wrote other columns than it declares: {said}")
    columns = {name: table[name] for name in lead}
    for name, declared in writes.items():
        columns[name] = _cast(table[name], declared, f"{operator}: column {name}")
    return pa.table(columns)


def check_source(part: pa.Table, operator: str) -> None:
    """Every row of a source has an id, unique in its part (`sourcing` keeps it unique in the source)."""
    _check_ids(part, operator)


def check_generate(part: pa.Table, parents: pa.ChunkedArray | None, operator: str) -> None:
    """New ids, and parents among the rows that were given."""
    _check_ids(part, operator)
    if parents is not None and part.num_rows:
        known = pc.is_in(part[PARENT_ID], value_set=_flat(parents))
        if not pc.all(known).as_py():
            raise LawError(f"{operator}: a row's parent is not among the rows that were given")


def check_score(part: pa.Table, given: pa.ChunkedArray, operator: str) -> None:
    """One row for each row that was given, in the same order."""
    if not part[ROW_ID].equals(given):
        raise LawError(f"{operator}: a scorer must return exactly the rows that it was given, in their order")


def check_select(verdict: pa.Table, given: pa.ChunkedArray, operator: str) -> pa.Table:
    """One verdict for each row; returns it in the order of the rows that were given."""
    verdict = verdict.select(VERDICT.names).cast(VERDICT)
    if not verdict[ROW_ID].equals(given):
        order = pc.index_in(_flat(given), value_set=_flat(verdict[ROW_ID]))
        if verdict.num_rows != len(given) or order.null_count:
            raise LawError(f"{operator}: a selector must return one verdict for each row that it was given")
        verdict = verdict.take(order)
    selected = verdict["selected"]
    ranks = verdict["select_rank"].filter(selected)
    if ranks.null_count or pc.count_distinct(ranks).as_py() != len(ranks):
        raise LawError(f"{operator}: each selected row needs a rank of its own")
    if not pc.all(pc.equal(pc.is_null(verdict["drop_reason"]), selected), min_count=0).as_py():
        raise LawError(f"{operator}: a dropped row needs a reason, and a selected row has none")
    return verdict


def _check_ids(part: pa.Table, operator: str) -> None:
    ids = part[ROW_ID]
    if ids.null_count or pc.count_distinct(ids).as_py() != part.num_rows:
        raise LawError(f"{operator}: every row needs an id of its own")


def _cast(column: pa.ChunkedArray, declared: pa.DataType, where: str) -> pa.ChunkedArray:
    if column.type == declared or (is_embedding(declared) and is_embedding(column.type)):
        return column  # the length of an embedding may be known only to the model
    try:
        return column.cast(declared)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as e:
        raise LawError(f"{where} has the type {column.type}, and {declared} is declared: {e}") from e


def _flat(column: pa.ChunkedArray) -> pa.Array:
    flat = column.combine_chunks()
    return pa.concat_arrays(flat.chunks) if isinstance(flat, pa.ChunkedArray) else flat
