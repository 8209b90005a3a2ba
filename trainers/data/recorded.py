"""What the data says of rows besides their texts: labels, and log-probabilities under a reference; found by row id."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trainers.config import DpoConfig
from trainers.data.folder import Handoff
from trainers.data.plan import targets_of
from trainers.data.preferences import answers_of
from trainers.data.rows import Tokens
from trainers.errors import HandoffError

Floats = npt.NDArray[np.float64]

ANOTHER = "the table of the reference was made with another model, template, tokenizer or length: make it again"
NAMED = 3
"""Rows that a message names."""


def labels(handoff: Handoff, tokens: Tokens) -> npt.NDArray[np.bool_]:
    """Whether the answer of each row is good, `[rows]`."""
    return np.asarray(_columns(handoff, tokens.row_ids.combine_chunks(), ["label"])[:, 0] > 0)


def references(handoff: Handoff, tokens: Tokens, config: DpoConfig) -> Floats:
    """Log-probability of each row's answer under the reference, `[rows]`, as columns of the data give it.

    Raises:
        HandoffError: such columns are not there, or hold no number, or are of other tokens than the rows have.
    """
    answers = answers_of(config)
    stems = ["ref"] if len(answers) == 1 else [f"ref_{name}" for name in answers]
    row_ids = tokens.row_ids.combine_chunks()[:: len(answers)]
    logp, counts = (
        _columns(handoff, row_ids, [f"{stem}_{what}" for stem in stems]).reshape(-1) for what in ("logp", "tokens")
    )
    targets = targets_of(tokens)
    nothing, other = ~(np.isfinite(logp) & np.isfinite(counts)), counts != targets
    if nothing.any():
        raise HandoffError(
            f"{handoff.path}: {nothing.sum()} answers have no log-probability under the reference "
            f"({_named(tokens, nothing)}, ...): score all rows, or set reference: live"
        )
    if other.any():
        first = int(np.argmax(other))
        raise HandoffError(
            f"{handoff.path}: {other.sum()} answers have another number of tokens than the reference has scored "
            f"({_named(tokens, other)}, ...; of the first {targets[first]}, and scored {counts[first]:.0f}): {ANOTHER}"
        )
    return logp


def _named(tokens: Tokens, rows: npt.NDArray[np.bool_]) -> str:
    return ", ".join(tokens.row_ids.filter(pa.array(rows)).unique()[:NAMED].to_pylist())


def _columns(handoff: Handoff, row_ids: pa.Array, names: Sequence[str]) -> Floats:
    """Numbers of these rows, `[rows, names]`; NaN where there is none."""
    absent = sorted(set(names) - set(handoff.columns))
    if absent:
        raise HandoffError(f"{handoff.path} has no column {', '.join(absent)}: score the rows, or set reference: live")
    table = pa.concat_tables(pq.read_table(handoff.path / f.path, columns=["row_id", *names]) for f in handoff.files)
    found = table.take(pc.index_in(row_ids, table["row_id"].combine_chunks()))
    return np.stack([found[name].cast(pa.float64()).to_numpy() for name in names], axis=1)
