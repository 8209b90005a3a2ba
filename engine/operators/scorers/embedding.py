"""`score: embedding`: a vector for each text or conversation, by the model that the spec names."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.operator import Context, Params, Reads, scorer
from engine.request import Capability
from engine.schema import ERROR, PROMPT_TYPE, ROW_ID, is_text

NULL_TEXT = "the text is null"
EMPTY_TEXT = "the text is empty"
NO_DIRECTION = "the model gave no direction for this text (a zero or non-finite vector)"


class EmbeddingParams(Params):
    """`normalize` scales each vector to length 1.

    `precision: float16` stores vectors in half the room; cosines change by less than 0.001. What compares them later
    compares what is stored, in float32, and close calls in float64.
    """

    normalize: bool = True
    precision: Literal["float32", "float16"] = "float32"

    @property
    def type(self) -> pa.DataType:
        """The Arrow type of a number of a vector."""
        return pa.float16() if self.precision == "float16" else pa.float32()


@scorer(
    params=EmbeddingParams,
    reads={"text": Reads(PROMPT_TYPE, default=("messages", "text"))},
    writes=lambda params, dim: {"embedding": pa.list_(params.type, dim or 1)},
    needs={Capability.EMBED},
)
async def embedding(batch: pa.Table, params: EmbeddingParams, ctx: Context) -> pa.Table:
    """Embeds a text, or a whole conversation rendered one turn a line as `role: content`.

    A text that is null or empty has a null embedding, and so has one whose vector has no direction, or is beyond what
    its precision can hold; `error` says which.
    """
    texts = pa.concat_arrays([plain_text(chunk) for chunk in batch["text"].chunks] or [pa.array([], pa.large_string())])
    known = pc.fill_null(pc.greater(pc.binary_length(texts), 0), False).to_numpy(zero_copy_only=False)
    # A batch without any text still needs the length of its (null) vectors, so it asks for that of some text.
    vectors = np.asarray(await ctx.model.embed(texts.filter(pa.array(known)).to_pylist() or ["text"]), np.float32)
    rows = np.zeros((len(texts), vectors.shape[1]), np.float32)
    rows[known] = vectors[: known.sum()]
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    good = np.isfinite(norms) & (norms > 0)
    if params.normalize:
        rows[good] /= norms[good, None]
    with np.errstate(over="ignore"):
        stored = rows.astype(params.type.to_pandas_dtype(), copy=False)
    good &= np.isfinite(stored).all(axis=1) & stored.any(axis=1)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(stored.reshape(-1)), rows.shape[1], mask=pa.array(~good))
    missing = np.where(texts.is_valid().to_numpy(zero_copy_only=False), EMPTY_TEXT, NULL_TEXT)
    reasons = pa.array(np.where(known, NO_DIRECTION, missing), pa.string(), mask=good)
    return pa.table({ROW_ID: batch[ROW_ID], "embedding": lists, ERROR: reasons})


def plain_text(texts: pa.Array) -> pa.Array:
    """Strings as they are; messages as `role: content`, one turn a line. Null where the string or list is null."""
    if is_text(texts.type):
        return texts.cast(pa.large_string())
    turns = texts.flatten()  # without those of null lists
    role, content = (pc.struct_field(turns, name).cast(pa.large_string()) for name in ("role", "content"))
    separator = pa.scalar(": ", pa.large_string())
    lines = pc.binary_join_element_wise(role, content, separator, null_handling="replace", null_replacement="")
    sizes = pc.fill_null(pc.list_value_length(texts), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    joined = pc.binary_join(pa.LargeListArray.from_arrays(offsets, lines), pa.scalar("\n", pa.large_string()))
    return pc.if_else(texts.is_valid(), joined, pa.scalar(None, pa.large_string()))
