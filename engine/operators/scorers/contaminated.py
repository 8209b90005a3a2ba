"""`score: contaminated`: rows that hold a benchmark's text, word for word or by the meaning of their embeddings.

The runs of 13 words are those of Brown et al., "Language Models are Few-Shot Learners" (arXiv 2005.14165, appendix C);
a share of them, and embeddings, are what later reports add.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from engine.errors import SetwrightError
from engine.needs import Side
from engine.operator import Context, Params, Reads, Rows, scorer
from engine.operators.scorers._texts import NULL_TEXT, TEXT, flat_texts, in_threads
from engine.schema import EMBEDDING_TYPE, ERROR, ROW_ID, TEXT_TYPE
from engine.texts.containment import Known
from engine.texts.shingles import words
from engine.vectors.closest import closest
from engine.vectors.unit import UnitVectors

NOBODY = -1
NO_BENCHMARKS = "there are no benchmarks"
EMBEDDING = Reads(EMBEDDING_TYPE, optional=True)


class ContaminatedParams(Params):
    """A row is contaminated that has more than `min_overlap` of a benchmark row's runs of `n` words, or is too similar.

    With `min_overlap: 0` one run in common is enough, as for GPT-3. A benchmark text of fewer than n words is looked
    for as a whole, one of fewer than `min_words` not at all, since it occurs by chance. `min_similarity` is the least
    cosine of embeddings that counts; what means the same depends on the model that made them.
    """

    n: int = Field(13, ge=1, le=64)
    min_words: int = Field(5, ge=1)
    min_overlap: float = Field(0.0, ge=0, lt=1)
    min_similarity: float = Field(0.95, gt=0, le=1)


@scorer(
    params=ContaminatedParams,
    reads={"text": TEXT, "embedding": EMBEDDING},
    writes={
        "contaminated": pa.bool_(),
        "contaminated_by": pa.string(),
        "contaminated_benchmark": pa.string(),
        "contaminated_kind": pa.string(),
        "contaminated_overlap": pa.float64(),
        "contaminated_similarity": pa.float64(),
    },
    sides={
        "benchmarks": Side(
            {
                "text": Reads(TEXT_TYPE, default=("text", "question", "prompt", "instruction")),
                "benchmark": Reads(TEXT_TYPE, optional=True),
                "embedding": EMBEDDING,
            }
        )
    },
)
def contaminated(rows: Rows, params: ContaminatedParams, ctx: Context) -> pa.Table:
    """Looks for the texts of the side table `benchmarks` in each row, and names the one that is found.

    contaminated_overlap is the largest share of a benchmark row's distinct runs of n words that stand in the row, and
    contaminated_similarity the largest cosine to a benchmark row, where both sides have embeddings; both are there for
    clean rows too, so that another limit is a filter. contaminated_by is the benchmark row of that overlap (kind
    `ngram`), or, where no words are found, that of the similarity (kind `embedding`); of equals the lowest row_id.
    Words are in lower case and without punctuation. A null text that no embedding gives away has no answer, with the
    reason in `error`, and neither has any row where there are no benchmarks.

    Raises:
        SetwrightError: the embeddings of the two tables have different lengths.
    """
    side = ctx.sides["benchmarks"].table
    side = side.take(pc.sort_indices(side[ROW_ID]))  # so that of equals the first has the lowest row_id
    known = Known(words(flat_texts(side["text"])), params.n, params.min_words)
    reads = [name for name in ("text", "embedding") if name in rows.columns]
    meanings = _Meanings(side["embedding"]) if "embedding" in side.column_names and "embedding" in reads else None

    def judged(part: pa.Table) -> pa.Table:
        return _judged(part, side, known, meanings, params)

    parts = list(in_threads(judged, rows.parts(*reads)))
    return pa.concat_tables(parts) if parts else judged(rows.whole(*reads))


def _judged(
    part: pa.Table, side: pa.Table, known: Known, meanings: _Meanings | None, params: ContaminatedParams
) -> pa.Table:
    """The written columns of a part."""
    texts = flat_texts(part["text"])
    by_words, overlap = known.best(words(texts))
    by_meaning, similarity = meanings.best(part["embedding"]) if meanings else (by_words, np.full(len(texts), np.nan))
    worded, similar = overlap > params.min_overlap, similarity >= params.min_similarity
    by = np.select([worded, similar], [by_words, by_meaning], NOBODY)
    null = texts.is_null().to_numpy(zero_copy_only=False)
    unknown = np.full(len(texts), True) if not side.num_rows else null & ~similar
    nobody = by == NOBODY
    found = pa.array(by, mask=nobody)
    benchmark = side["benchmark"] if "benchmark" in side.column_names else pa.nulls(side.num_rows, pa.string())
    return pa.table(
        {
            ROW_ID: part[ROW_ID],
            "contaminated": pa.array(~nobody, mask=unknown),
            "contaminated_by": side[ROW_ID].take(found),
            "contaminated_benchmark": benchmark.take(found),
            "contaminated_kind": pa.array(np.where(worded, "ngram", "embedding"), pa.string(), mask=nobody),
            "contaminated_overlap": pa.array(overlap, mask=null | (not side.num_rows)),
            "contaminated_similarity": pa.array(similarity, mask=np.isnan(similarity)),
            ERROR: pa.array(np.full(len(texts), NULL_TEXT if side.num_rows else NO_BENCHMARKS), mask=~unknown),
        }
    )


class _Meanings:
    """The embeddings of the benchmark rows that have one."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        vectors = UnitVectors(column)
        self._dim, self._positions = vectors.dim, np.flatnonzero(vectors.known)
        self._unit = vectors.rows(self._positions)

    def best(self, column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
        """The most similar benchmark row of each row, int [n], and the cosine; NaN where one side has no embedding."""
        vectors = UnitVectors(column)
        if vectors.dim != self._dim:
            raise SetwrightError(
                f"embeddings of {vectors.dim} numbers can't be compared with the benchmarks' of {self._dim}",
                cure="embed both tables with the same model",
            )
        best, similarity = np.full(len(vectors), NOBODY), np.full(len(vectors), np.nan)
        known = np.flatnonzero(vectors.known & (len(self._positions) > 0))
        if len(known):
            nearest, similarity[known] = closest(vectors.rows(known), self._unit)
            best[known] = self._positions[nearest]
        return best, similarity
