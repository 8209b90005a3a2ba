"""What selectors over groups share: groups by the value of an expression, and picks that fill the groups' quotas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.draws import draw_keys
from engine.errors import SetwrightError
from engine.operators.selectors._verdict import ranked
from engine.schema import ROW_ID, is_number, is_text

NOBODY = -1
NEARLY_ONE = 0.01
"""So far from 1 may given shares sum up, as thirds of 0.33 do."""


@dataclass(frozen=True)
class Groups:
    """Which group each row is in; groups are numbered in the order of their values, null last.

    Attributes:
        of: int64 [n], the group of each row.
        names: the value of each group as text; None for null.
    """

    of: np.ndarray
    names: list[str | None]


def groups_of(values: pa.ChunkedArray, param: str) -> Groups:
    """The groups of equal values; null is a group of its own, and so is NaN.

    Raises:
        SetwrightError: the values are of a type that has no groups (lists, structs, binary).
    """
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    plain = is_number(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind) or pa.types.is_null(kind)
    if not (plain or is_text(kind)):
        raise SetwrightError(
            f"{param} is of type {kind}, which can't group rows",
            cure=f"make it a text, a number or a condition: {param}: CAST(... AS VARCHAR)",
        )
    flat = values.cast(pa.large_string() if is_text(kind) else kind)  # large: any length fits in one array
    if pa.types.is_floating(kind):
        flat = pc.add(flat, 0.0)  # -0.0 and 0.0 are one value
    coded = flat.combine_chunks().dictionary_encode(null_encoding="encode")
    order = pc.sort_indices(coded.dictionary)
    number = np.empty(len(order), np.int64)
    number[order.to_numpy()] = np.arange(len(order))
    names = pc.cast(coded.dictionary.take(order), pa.string()).to_pylist()
    return Groups(number[coded.indices.to_numpy()], names)


def best_first(batch: pa.Table, seed: int) -> np.ndarray:
    """Positions by falling `score`, less the rows that have none; without such a column all rows as they are drawn."""
    if "score" in batch.column_names:
        return ranked(batch, "score", "desc")
    return ranked(batch.append_column("draw", pa.array(draw_keys(batch[ROW_ID], seed))), "draw", "asc")


def fill(order: np.ndarray, group: np.ndarray, quota: np.ndarray) -> np.ndarray:
    """The first rows of each group, as many as its quota, in the order that `in_step` gives them.

    Args:
        order: int [m], positions of the rows that may be picked, best first.
        group: int [n], the group of every row.
        quota: int [g].
    """
    queue = by_group(order, group)
    return in_step(queue[places(group[queue]) < quota[group[queue]]], group)


def by_group(order: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The same positions, group by group; within a group the order stays."""
    queue: np.ndarray = order[np.argsort(group[order], kind="stable")]
    return queue


def places(group: np.ndarray) -> np.ndarray:
    """The place of each row among those of its group, from 0; int [m], for sorted groups."""
    place: np.ndarray = np.arange(len(group)) - np.searchsorted(group, group)
    return place


def in_step(picks: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Picks that stand group by group, put in an order whose every beginning has the groups in nearly equal proportion.

    Of the k picks of a group the i-th has its turn at (i - 1/2) / k; at the same turn the groups come in their order.
    """
    of = group[picks]
    turn = (places(of) + 0.5) / np.bincount(of)[of]
    ordered: np.ndarray = picks[np.lexsort((of, turn))]
    return ordered


def check_shares(shares: Mapping[str, float]) -> None:
    """Refuses shares that do not sum to 1.

    Raises:
        ValueError: with the sum, as a validator of parameters is to raise it.
    """
    total = sum(shares.values())
    if abs(total - 1) > NEARLY_ONE:
        raise ValueError(f"shares sum to {total:g}, not to 1")
