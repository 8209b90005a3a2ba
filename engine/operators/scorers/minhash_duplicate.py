"""`score: minhash_duplicate`: texts that share most of their word n-grams with one before them.

The n-grams and the limit are those of the near-duplicate filters of Lee et al., "Deduplicating Training Data Makes
Language Models Better" (arXiv 2107.06499), and FineWeb (arXiv 2406.17557). Unlike theirs, no row is called a duplicate
by its signature alone: the sets of n-grams are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from engine.operator import Context, Params, Rows, scorer
from engine.operators.scorers._texts import TEXT, flat_texts, in_threads, reasons
from engine.schema import ERROR, ROW_ID
from engine.texts.minhash import bands, first_open, signatures
from engine.texts.shingles import Grams, distinct, jaccard, ngrams, words

NOBODY = -1


class MinhashDuplicateParams(Params):
    """Texts are sets of runs of `n` words; `threshold` is the least Jaccard similarity of duplicates.

    `recall` is the least chance that a pair right at the threshold is compared at all; more similar pairs have more.
    """

    n: int = Field(5, ge=1, le=64)
    threshold: float = Field(0.7, gt=0, le=1)
    recall: float = Field(0.99, gt=0, lt=1)


@scorer(
    params=MinhashDuplicateParams,
    reads={"text": TEXT},
    writes={"minhash_duplicate_of": pa.string(), "minhash_similarity": pa.float64()},
)
def minhash_duplicate(rows: Rows, params: MinhashDuplicateParams, ctx: Context) -> pa.Table:
    """Names, for each text that nearly repeats one kept before it, the most similar of those.

    In the order of row_id a text is kept unless its Jaccard similarity with a text kept before it is at least
    `threshold`; minhash_duplicate_of names the most similar of these, of equals the first, and is null for a kept row.
    Candidates come from MinHash; the similarity is that of the sets themselves, so no row is named wrongly, and of the
    pairs at the threshold a share of `recall` is found. Words are in lower case and without punctuation; a text of
    fewer than n words is one n-gram. A text without words has no answer, with the reason in `error`.
    """
    texts = _read(rows, params, ctx.scratch / "ngrams")
    ids = rows.whole()[ROW_ID]
    known = np.flatnonzero(texts.known)
    order = pc.sort_indices(ids.take(pa.array(known))).to_numpy()
    found, similarity = greedy(texts.sets, texts.signatures[order], order, params.threshold)

    kept = found == NOBODY
    of, near = np.full(len(ids), NOBODY), np.full(len(ids), np.nan)
    of[known[order]] = np.where(kept, NOBODY, known[order[found]])
    near[known[order]] = similarity
    nobody = of == NOBODY
    return pa.table(
        {
            ROW_ID: ids,
            "minhash_duplicate_of": ids.take(pa.array(of, mask=nobody)),
            "minhash_similarity": pa.array(near, mask=nobody),
            ERROR: reasons(texts.null, ~texts.known),
        }
    )


@dataclass(frozen=True)
class _Texts:
    """What is left of n texts: which are null, which have words, and of the k that have: n-grams and signatures.

    Attributes:
        null: bool [n].
        known: bool [n].
        sets: the distinct n-grams of k texts, in a file.
        signatures: uint64 [k, bands].
    """

    null: np.ndarray
    known: np.ndarray
    sets: Grams
    signatures: np.ndarray


def _read(rows: Rows, params: MinhashDuplicateParams, path: Path) -> _Texts:
    """Read the texts part by part; their n-grams go to a file, since there are as many as words."""
    cut = bands(params.threshold, params.recall)

    def digest(part: pa.Table) -> tuple[np.ndarray, Grams, np.ndarray]:
        texts = flat_texts(part["text"])
        sets = distinct(ngrams(words(texts), params.n))
        return texts.is_null().to_numpy(zero_copy_only=False), sets, signatures(sets.filled, cut)

    nulls, sizes, numbers = [np.zeros(0, bool)], [np.zeros(0, np.int64)], [np.zeros((0, cut.count), np.uint64)]
    with path.open("wb") as file:
        for null, sets, signed in in_threads(digest, rows.parts("text")):
            sets.hashes.tofile(file)
            nulls.append(null)
            sizes.append(sets.lengths)
            numbers.append(signed)
    starts = np.concatenate([[0], np.concatenate(sizes).cumsum()])
    hashes = np.memmap(path, np.uint64, "r") if starts[-1] else np.zeros(0, np.uint64)
    sets = Grams(hashes, starts)
    return _Texts(np.concatenate(nulls), sets.lengths > 0, sets.filled, np.concatenate(numbers))


def greedy(sets: Grams, signatures: np.ndarray, order: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Walks the texts and keeps each one that is no duplicate of a candidate kept before it.

    Instead of one by one this goes in rounds. A text is kept as soon as it is the first open one of all bands that it
    stands in; it is then compared with all that stand there after it. A duplicate is no longer open, but goes on being
    compared with what is kept before it, so that it finds the most similar. No pair is compared twice, and none of two
    duplicates.

    Args:
        sets: the distinct n-grams of k texts.
        signatures: uint64 [k, bands], in the order of the walk.
        order: int [k], the positions in `sets` in the order of the walk.
        threshold: the least Jaccard similarity of duplicates.

    Returns:
        int [k] and float64 [k], in the order of the walk: the text (its number in the walk) that each one repeats, and
        their similarity; `NOBODY` and NaN for a text that is kept.
    """
    found, best = np.full(len(order), NOBODY), np.full(len(order), np.nan)
    live, is_open = np.arange(len(order)), np.ones(len(order), bool)
    while len(live):
        later, earlier = first_open(signatures[live], is_open[live])
        waits = np.zeros(len(live), bool)
        waits[later] = True
        kept = ~waits[earlier]
        texts, others = live[later[kept]], live[earlier[kept]]
        similarity = jaccard(sets, order[texts], order[others])
        better = (similarity >= threshold) & ~_before(best[texts], found[texts], similarity, others)
        best_last = np.flatnonzero(better)[np.lexsort((-others[better], similarity[better]))]
        found[texts[best_last]], best[texts[best_last]] = others[best_last], similarity[best_last]
        is_open[texts[best_last]] = False
        live = live[waits]
    return found, best


def _before(best: np.ndarray, found: np.ndarray, similarity: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether what was found so far goes before another text: it is more similar, or as similar and earlier."""
    before: np.ndarray = (best > similarity) | ((best == similarity) & (found < others))
    return before
