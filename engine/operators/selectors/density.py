"""`select: density`: a sample that covers what there is evenly, by drawing rows from dense regions less often.

Density sampling of Sachdeva et al., "How to Train Data-Efficient LLMs" (arXiv 2402.09668, algorithm 2): inverse
propensity sampling by a sketch of the kernel density of the embeddings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from engine.draws import waiting_times
from engine.operator import Context, Reads, Rows, selector
from engine.operators.selectors._budget import BudgetParams, gives
from engine.operators.selectors._verdict import ranked, verdict
from engine.schema import EMBEDDING_TYPE, ROW_ID
from engine.vectors.density import exact, sketched
from engine.vectors.unit import UnitVectors

NO_EMBEDDING = "no_embedding"
NOT_DRAWN = "not_drawn"


class DensityParams(BudgetParams):
    """`bandwidth`: how far, on the sphere of embeddings of length 1, a row makes its surroundings dense.

    A row at a third of the bandwidth adds 0.40 to the density of another, at the whole 0.05, at twice that 0.01.
    `hashes`: the independent counts of which a density is the mean; four times as many halve its error. `method`:
    `sketch` takes time in proportion to the rows, `exact` sums over all pairs, for tables of some ten thousand rows.
    Widths and numbers of hashes are ours, not the paper's.
    """

    bandwidth: float = Field(0.5, ge=0.25, le=4)
    hashes: int = Field(256, ge=1)
    method: Literal["sketch", "exact"] = "sketch"


@selector(params=DensityParams, reads={"embedding": Reads(EMBEDDING_TYPE)}, seeded=True, gives=gives)
def density(rows: Rows, params: DensityParams, ctx: Context) -> pa.Table:
    """Draws rows without replacement, each with a chance in inverse proportion to the density about it.

    The density is a kernel sum over all rows, the row included: 1 for one that is alone, 100 for each of a hundred
    copies, so that the copies together are drawn first about as often as the lone row. A row without an embedding is
    dropped as `no_embedding`, one that was not drawn as `not_drawn`. The sample depends on the seed, the ids and the
    embeddings alone; a smaller one is part of a larger one.
    """
    ids = rows.whole()[ROW_ID]
    known = np.concatenate([np.zeros(0, bool), *(vectors.known for vectors in _vectors(rows))])
    waits = np.full(len(ids), np.nan)
    own_seed = ctx.draw("density")  # the draws of `random` decide who is here, if it came before
    waits[known] = _densities(rows, params, ctx.seed) * waiting_times(ids.filter(pa.array(known)), own_seed)
    order = ranked(pa.table({ROW_ID: ids, "wait": waits}), "wait", "asc")
    reasons = pa.array(np.where(known, NOT_DRAWN, NO_EMBEDDING))
    return verdict(ids, order[: params.count(len(ids))], reasons)


def _densities(rows: Rows, params: DensityParams, seed: int) -> np.ndarray:
    """Of the rows that have an embedding, float64 [known]."""

    def blocks() -> Iterator[np.ndarray]:
        return (vectors.rows(np.flatnonzero(vectors.known)) for vectors in _vectors(rows))

    if params.method == "exact":
        return exact(blocks, params.bandwidth)
    return sketched(blocks, params.bandwidth, params.hashes, seed)


def _vectors(rows: Rows) -> Iterator[UnitVectors]:
    return (UnitVectors(part["embedding"]) for part in rows.parts("embedding"))
