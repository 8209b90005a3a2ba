"""`score: isa`: how likely a row's embedding is under a mixture of Gaussians, and the entropy that it accounts for.

Information Sampling for Alignment, Khera et al., "Efficient Alignment of Large Language Models via Data Sampling"
(arXiv 2411.10545, section 4 and algorithm 1). `select: isa` picks rows by it.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from engine.draws import draw_keys
from engine.errors import SetwrightError
from engine.operator import Context, Params, Reads, Rows, scorer
from engine.schema import EMBEDDING_TYPE, ERROR, ROW_ID
from engine.statistics.mixture import Covariance, Fit, fit
from engine.statistics.moments import Projection, projection
from engine.vectors.shelf import Shelf
from engine.vectors.unit import UnitVectors, matrix

log = logging.getLogger(__name__)

FEW = 10  # rows for each dimension and component: with fewer, a full covariance follows single rows
NO_EMBEDDING = "the row has no embedding, or one that is zero or not finite"
SCORES = ("isa_loglik", "isa_loglik_norm", "isa_p", "isa_delta", "isa_responsibility", "isa_explained")


class IsaParams(Params):
    """Of these the paper states `components` alone, all else is ours; embeddings are taken as they are, not scaled.

    `pca_dim`: principal axes that embeddings of more dimensions are reduced to; null keeps them all. `standardise`:
    every dimension counts in units of its standard deviation, as the last states of a language model have a few
    dimensions that outweigh all others. `covariance`: full, diag or spherical. `reg_covar`: added to every variance,
    as a part of the mean variance. `fit_rows`: at most so many rows, drawn by the seed and their ids, are what the
    axes and the mixture are fitted to (null: all); scored are all rows. `n_init`: runs of the fit, the best of which
    counts. A run ends after `max_iter` steps, or when the mean log-likelihood gains less than `tol`.
    """

    components: int = Field(2, ge=1)
    covariance: Covariance = "full"
    pca_dim: int | None = Field(256, ge=1)
    standardise: bool = False
    reg_covar: float = Field(1e-6, gt=0)
    fit_rows: int | None = Field(200_000, ge=2)
    n_init: int = Field(1, ge=1)
    max_iter: int = Field(100, ge=1)
    tol: float = Field(1e-3, gt=0)


@scorer(
    params=IsaParams,
    reads={"embedding": Reads(EMBEDDING_TYPE)},
    writes=dict.fromkeys(SCORES, pa.float64()),
    seeded=True,
)
def isa(rows: Rows, params: IsaParams, ctx: Context) -> pa.Table:
    """Fits a mixture of Gaussians to the embeddings and scores each row by its log-likelihood l.

    isa_loglik is l, isa_loglik_norm is l' = (l - min l) / (max l - min l), isa_p is p = exp(l'), from 1 to e and not
    a probability. isa_delta is the entropy H = - sum of p log p less that of the set without the row: p is neither
    fitted nor scaled anew for it, so that it is - l' exp(l'), from 0 down to -e. isa_responsibility is the part that
    the heaviest component has in the row: averaged over labels and sources it tells whether the mixture has parted
    wanted from unwanted answers, as the paper hopes, or one source from another. isa_explained is the part of the
    variance that the kept axes hold, the same in every row.

    Which layer the paper embeds with, its covariance, regularisation, start and reduction are not stated. One far-off
    row sets the scale of l', p and H, but no order. A row without an embedding is null. The scores do not depend on
    the order of the rows or on their cut: every sum is made in the order of row_id, over vectors that stand in a file
    as large as the column.

    Raises:
        SetwrightError: nothing tells the embeddings apart, or they are fewer than the components.
    """
    ids = rows.whole()[ROW_ID]
    order = pc.sort_indices(ids).to_numpy().astype(np.int64)
    scores = np.full((len(SCORES), len(ids)), np.nan)
    if len(ids):
        shelf, known = _shelved(rows, order, ctx.scratch)
        if known.any():
            drawn = _drawn(ids.take(pa.array(order)), known, params.fit_rows, ctx.seed)
            turn, fitted = _fitted(shelf, drawn, params, ctx)
            scores[:, order[known]] = _scores(shelf, known, turn, fitted)
    nothing = np.isnan(scores[0])
    columns = {name: pa.array(values, mask=nothing) for name, values in zip(SCORES, scores, strict=True)}
    return pa.table({ROW_ID: ids, **columns, ERROR: pa.array(np.full(len(ids), NO_EMBEDDING), mask=~nothing)})


def _shelved(rows: Rows, order: np.ndarray, scratch: Path) -> tuple[Shelf, np.ndarray]:
    """The vectors in the order of row_id, and which of them are known, bool [n]; `order` are the rows' positions."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    known = np.zeros(len(order), bool)
    shelf, start = None, 0
    for part in rows.parts("embedding"):
        column = part["embedding"]
        shelf = shelf or Shelf(scratch / "embeddings", len(order), column.type.list_size)
        known[place[start : start + len(column)]] = UnitVectors(column).known
        for chunk in column.chunks:
            shelf.put(place[start : start + len(chunk)], matrix(chunk, shelf.dim))
            start += len(chunk)
    assert shelf is not None
    return shelf, known


def _drawn(ids: pa.ChunkedArray, known: np.ndarray, most: int | None, seed: int) -> np.ndarray:
    """Of the known rows those that the mixture is fitted to, bool [n]: those of the lowest draws."""
    candidates = np.flatnonzero(known)
    if most is None or len(candidates) <= most:
        return known
    drawn = np.zeros(len(known), bool)
    drawn[candidates[np.argsort(draw_keys(ids.take(pa.array(candidates)), seed), kind="stable")[:most]]] = True
    return drawn


def _fitted(shelf: Shelf, drawn: np.ndarray, params: IsaParams, ctx: Context) -> tuple[Projection, Fit]:
    """The principal axes of the drawn vectors, and the mixture of their coordinates."""
    turn, count = projection(lambda: shelf.blocks(drawn), params.pca_dim, standardise=params.standardise), drawn.sum()
    if params.covariance == "full" and count < FEW * params.components * turn.kept:
        log.warning("score: isa: %d rows are few for %d dimensions: lower pca_dim, or set covariance", count, turn.kept)
    coordinates, start = Shelf(ctx.scratch / "coordinates", int(count), turn.kept), 0
    for block in shelf.blocks(drawn):
        coordinates.put(np.arange(start, start + len(block)), turn(block))
        start += len(block)
    fitted = fit(
        coordinates.blocks, params.components, seed=ctx.seed, covariance=params.covariance,
        reg_covar=params.reg_covar, n_init=params.n_init, tol=params.tol, max_iter=params.max_iter,
    )  # fmt: skip
    if not fitted.converged:
        log.warning("score: isa: the mixture still gains after %d steps: raise max_iter or tol", fitted.steps)
    return turn, fitted


def _scores(shelf: Shelf, known: np.ndarray, turn: Projection, fitted: Fit) -> np.ndarray:
    """The `SCORES` of the known vectors, float64 [scores, known]."""
    found = [fitted.mixture.parts(turn(block)) for block in shelf.blocks(known)]
    loglik = np.concatenate([each for each, _ in found])
    least, most = loglik.min(), loglik.max()
    if least == most:
        raise SetwrightError(
            f"all {len(loglik):,} embeddings are equally likely ({least:g}): nothing tells the rows apart",
            cure="look at what made the embeddings: different texts should have different ones",
        )
    norm = (loglik - least) / (most - least)
    heaviest = np.concatenate([parts[:, 0] for _, parts in found])
    return np.stack([loglik, norm, np.exp(norm), 0 - norm * np.exp(norm), heaviest, np.full(len(norm), turn.explained)])
