"""Single forward passes over a batch: log-likelihood, embedding, reward; `_next_token` has one more.

Causal batches are padded on the left, so that what is asked for is at the end of every row and the head can be
computed for those positions alone; embeddings and rewards on the right, as absolute positions need it.

On a CPU an answer has the same bits whatever rows are beside it, for two reasons. A row is padded to a width that
follows from its own length (`Item.width`) and meets rows of that width alone, so attention and norms, which work row
by row, see one shape. And every product of matrices has a multiple of `GRAIN` rows: the kernels of BLAS sum the
elements of all full blocks of rows in one order, and only a rest of one to three rows takes another way. The second
is a property of the kernels in use (MKL, oneDNN) and not a promise of theirs; a test holds them to it. On a GPU the
kernel itself is chosen by the number of rows, and the last digits may depend on the batch.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import torch  # noqa: TID253  loaded by `_torch` in the worker's thread, never by a plan

from engine.models._items import GRAIN, Conversation, Item, Passage, Scored, even
from engine.request import Answer

CPU_TOKENS = 1024  # padded tokens of one pass on a CPU: more fall out of its caches and run slower
LOGITS = 1 << 29  # elements of logits held at once: 1 GiB in bfloat16, 2 GiB in float32
COPY = 1 << 24  # elements of logits copied to float32 at once

Inputs = dict[str, torch.Tensor]
AnyItem = TypeVar("AnyItem", bound=Item)


def slices(items: Sequence[AnyItem], model: Any, width: int) -> Iterator[Sequence[AnyItem]]:
    """A batch in parts that one pass handles well: by the caches of a CPU, and by the logits of scored tokens."""
    rows = max(1, CPU_TOKENS // width) if model.device.type == "cpu" else len(items)
    scored = kept(model, max(item.n if isinstance(item, Scored) else 1 for item in items))
    rows = min(rows, max(1, LOGITS // (scored * model.config.get_text_config().vocab_size)))
    if isinstance(items[0], Conversation) and has_pooled_head(model):
        rows = even(rows)
    return (items[i : i + rows] for i in range(0, len(items), rows))


def kept(model: Any, n: int = 1) -> int:
    """The positions of a row that the head is computed for where the last n are asked for."""
    return even(n) if model.device.type == "cpu" else n


def has_pooled_head(model: Any) -> bool:
    """Whether a classifier's head takes one vector a row, as that of an encoder does, and not one a token."""
    return not takes(model, "past_key_values")


def takes(model: Any, name: str) -> bool:
    """Whether the model's forward pass has such an argument."""
    return name in inspect.signature(model.forward).parameters


def pad(rows: Sequence[Sequence[int]], model: Any, *, side: str, width: int, fill: int = 0) -> Inputs:
    """Ids, mask and, for left padding if the model takes them, positions: int64 (rows, width), on its device."""
    lengths = torch.tensor([len(row) for row in rows])
    ids = torch.full((len(rows), width), fill)
    columns = torch.arange(width)
    if side == "left":
        columns = columns.flip(0)
    mask = columns < lengths[:, None]
    ids[mask] = torch.tensor([token for row in rows for token in row])
    inputs = {"input_ids": ids, "attention_mask": mask.long()}
    if side == "left" and takes(model, "position_ids"):
        inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    return {name: tensor.to(model.device) for name, tensor in inputs.items()}


def loglikelihood(model: Any, items: Sequence[Scored]) -> list[Answer]:
    """The sum of log p(token) in nats over the last n tokens of each item."""
    scored = kept(model, max(item.n for item in items))
    inputs = pad([item.ids[:-1] for item in items], model, side="left", width=items[0].width)
    targets = pad([item.ids[-item.n :] for item in items], model, side="left", width=scored)
    logits = model(**inputs, use_cache=False, logits_to_keep=scored).logits[:, -scored:]
    logprobs = token_logprobs(logits, targets["input_ids"]).tolist()
    return [
        Answer(value=math.fsum(row[-item.n :]), tokens_in=len(item.ids) - item.n, tokens_out=item.n)
        for row, item in zip(logprobs, items, strict=True)
    ]


def token_logprobs(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Log-probability of each target, float32 (rows, width), from logits (rows, width, vocabulary) of any precision.

    The softmax is taken in float32, over a few positions at a time.
    """
    flat, wanted = logits.flatten(0, 1), targets.flatten()[:, None]
    rows = max(1, COPY // flat.shape[-1])
    parts = zip(torch.split(flat, rows), torch.split(wanted, rows), strict=True)
    picked = [part.float().log_softmax(-1).gather(-1, chosen) for part, chosen in parts]
    return torch.cat(picked).view(targets.shape)


def embed(model: Any, items: Sequence[Passage], *, pooling: str, fill: int) -> list[Answer]:
    """The last layer's states, float32 (hidden,): their mean over all tokens, or that of the last token.

    An answer's finish reason is `length` where only the beginning of the text was embedded.
    """
    inputs = pad([item.ids for item in items], model, side="right", width=_right(items[0], model), fill=fill)
    states = model.base_model(**inputs).last_hidden_state  # (rows, longest, hidden)
    mask = inputs["attention_mask"]
    lengths = mask.sum(-1)
    if pooling == "last":
        pooled = states[torch.arange(len(items), device=states.device), lengths - 1].float()
    else:
        pooled = (states.float() * mask[..., None]).sum(1) / lengths[:, None]
    vectors = pooled.cpu().numpy()
    return [
        Answer(vector=vector, finish_reason="length" if item.cut else "stop", tokens_in=len(item.ids))
        for vector, item in zip(vectors, items, strict=True)
    ]


def reward(model: Any, items: Sequence[Conversation]) -> list[Answer]:
    """The single label's logit.

    Causal reward models look for the last token that is not the configured padding token; without one transformers
    can judge one conversation at a time only.
    """
    fill = model.config.get_text_config().pad_token_id
    if fill is None and len(items) > 1:
        return [answer for item in items for answer in reward(model, [item])]
    spare = -len(items) % GRAIN if has_pooled_head(model) else 0
    rows = [item.ids for item in (*items, *[items[0]] * spare)]
    width = len(rows[0]) if fill is None else _right(items[0], model)
    inputs = pad(rows, model, side="right", width=width, fill=fill or 0)
    values = model(**inputs).logits[: len(items), 0].tolist()
    return [Answer(value=value, tokens_in=len(item.ids)) for value, item in zip(values, items, strict=True)]


def _right(item: Item, model: Any) -> int:
    """The width of rows that are padded on the right, where padding has positions, too."""
    return min(item.width, getattr(model.config.get_text_config(), "max_position_embeddings", None) or item.width)
