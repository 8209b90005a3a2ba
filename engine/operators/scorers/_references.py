"""What the scorers share that compare a text with references: a string or several, and why a row has no score."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.operator import Reads
from engine.schema import TEXT_TYPE, ColumnType, is_list, is_text

REFERENCE_TYPE = ColumnType("string or list of strings", lambda t: is_text(t) or (is_list(t) and is_text(t.value_type)))
READS = {
    "text": Reads(TEXT_TYPE, default=("response", "text")),
    "reference": Reads(REFERENCE_TYPE, default=("reference", "references")),
}


def pairs(batch: pa.Table) -> tuple[np.ndarray, pa.Array]:
    """Each row with each of its references that isn't null, for rows whose text isn't.

    Returns:
        int64 [pairs], the rows in their order; large_string [pairs], the references in theirs.
    """
    rows, texts = [np.zeros(0, np.int64)], [pa.array([], pa.large_string())]
    start = 0
    for chunk in batch["reference"].chunks:
        row = np.arange(len(chunk)) if is_text(chunk.type) else pc.list_parent_indices(chunk).to_numpy()
        rows.append(row + start)
        texts.append((chunk if is_text(chunk.type) else chunk.flatten()).cast(pa.large_string()))
        start += len(chunk)
    row, text = np.concatenate(rows), pa.concat_arrays(texts)
    wanted = text.is_valid().to_numpy(zero_copy_only=False) & batch["text"].is_valid().to_numpy()[row]
    return row[wanted], text.filter(pa.array(wanted))


def reasons(batch: pa.Table, scored: np.ndarray) -> pa.Array:
    """Why a row has no score, string [n]; null for the positions in `scored`."""
    why = np.where(batch["text"].is_null().to_numpy(), "the text is null", "there is no reference")
    return pa.array(why, pa.string(), mask=np.isin(np.arange(len(why)), scored))
