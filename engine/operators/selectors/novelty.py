"""`select: novelty`: instructions that repeat neither a seed nor one kept before, by ROUGE-L.

The filter of Self-Instruct (Wang et al., arXiv 2212.10560, section 2.2) and of I-SHEEP (Liang et al., arXiv 2408.08072,
appendix); exact, in blocks.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from engine.needs import Side
from engine.operator import Context, Params, Reads, selector
from engine.operators.selectors._verdict import verdict
from engine.schema import ROW_ID, TEXT_TYPE, empty_table
from engine.texts.rouge import Tokens, rouge_l, tokens
from engine.vectors.apart import first_come

NO_TEXT = "no_text"
LIKE_A_SEED = "like_a_seed"
LIKE_A_ROW = "like_a_kept_row"
NOBODY = -1
BLOCK = 256  # rows looked at in one go; no verdict depends on it


class NoveltyParams(Params):
    """A row above `max_similarity`, a ROUGE-L F1, to a seed or a kept row is dropped; one at it stays."""

    max_similarity: float = Field(0.7, ge=0, le=1)


@selector(
    params=NoveltyParams,
    reads={"text": Reads(TEXT_TYPE, default=("instruction", "text"))},
    sides={"seeds": Side({"text": Reads(TEXT_TYPE, default=("instruction", "text"))}, optional=True)},
    gives=lambda _, rows: (0, rows),
)
def novelty(batch: pa.Table, params: NoveltyParams, ctx: Context) -> pa.Table:
    """Walks the rows in the order of row_id and keeps those that resemble no seed and no row kept before.

    The nearest of all seeds and of the rows kept before is in nn_id, its ROUGE-L F1 in nn_sim, of kept rows too; of
    equals it is the first, seeds before rows. A row that has no token in common with any of them names none. Texts are
    compared by their Latin letters and digits: those that have none are all kept. A row whose text is null is dropped
    as `no_text`, a seed without text resembles nobody.
    """
    has_text = batch["text"].is_valid().to_numpy()
    by_id = pc.sort_indices(batch[ROW_ID]).to_numpy()
    order = by_id[has_text[by_id]]
    seeds = ctx.sides["seeds"].table if "seeds" in ctx.sides else empty_table(batch.schema)
    texts = tokens(_joined(seeds["text"], batch["text"].take(pa.array(order))))
    kept, nearest, similarity = greedy(texts, len(seeds), params.max_similarity)

    own = slice(len(seeds), None)
    why = np.full(len(batch), 0)
    why[order] = np.where(nearest[own] < len(seeds), 1, 2)
    reasons = pa.array([NO_TEXT, LIKE_A_SEED, LIKE_A_ROW]).take(pa.array(why))
    judged = verdict(batch[ROW_ID], order[kept[own]], reasons)
    ids = _joined(seeds[ROW_ID], batch[ROW_ID].take(pa.array(order)))
    return _with_nearest(judged, order, ids, nearest[own], similarity[own])


def greedy(texts: Tokens, seeds: int, limit: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keeps, after the first `seeds` texts, each one whose similarity to all that are kept is at most `limit`.

    Returns:
        bool [n], what is kept; int [n], the nearest kept text before each (`NOBODY` for none); float64 [n], how near.
    """
    n = len(texts.lengths)
    kept, nearest, best = np.arange(n) < seeds, np.full(n, NOBODY), np.zeros(n)

    def note(rows: np.ndarray, similarity: np.ndarray, others: np.ndarray) -> None:
        if len(others):
            at = similarity.argmax(axis=1)
            top = similarity[np.arange(len(rows)), at]
            better = top > best[rows]
            best[rows[better]], nearest[rows[better]] = top[better], others[at[better]]

    for start in range(seeds, n, BLOCK):
        rows = np.arange(start, min(start + BLOCK, n))
        pile = np.flatnonzero(kept)
        note(rows, rouge_l(texts, rows, pile), pile)
        among = np.tril(rouge_l(texts, rows, rows), -1)
        stays = best[rows] <= limit
        stays[stays] = first_come(among[np.ix_(stays, stays)] > limit)
        note(rows, np.where(stays, among, 0), rows)
        kept[rows] = stays
    return kept, nearest, best


def _with_nearest(
    judged: pa.Table, order: np.ndarray, ids: pa.ChunkedArray, nearest: np.ndarray, similarity: np.ndarray
) -> pa.Table:
    """The verdict with its neighbours, which may be rows of another table."""
    named = np.full(len(judged), NOBODY)
    named[order] = nearest
    near = np.zeros(len(judged), np.float32)
    near[order] = similarity
    alone = named == NOBODY
    for column, values in (
        ("nn_id", ids.take(pa.array(named, mask=alone))),
        ("nn_sim", pa.array(near, pa.float32(), mask=alone)),
    ):
        field = judged.schema.field(column)
        judged = judged.set_column(judged.schema.get_field_index(column), field, values.cast(field.type))
    return judged


def _joined(*columns: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([chunk for column in columns for chunk in column.cast(pa.string()).chunks], pa.string())
