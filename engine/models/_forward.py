"""Single forward passes over a batch: log-likelihood, embedding, reward; `_next_token` has one more.

Causal batches are padded on the left, so that what is asked for is at the end of every row and the head can be
computed for those positions alone; embeddings and rewards on the right, as absolute positions need it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import torch  # noqa: TID253  loaded by `_torch` in the worker's thread, never by a plan
from torch.nn.utils.rnn import pad_sequence  # noqa: TID253

from engine.models._encoding import Conversation, Item, Passage, Scored
from engine.request import Answer

CPU_TOKENS = 1024  # padded tokens of one pass on a CPU: more fall out of its caches and run slower
LOGITS = 1 << 29  # elements of logits held at once: 1 GiB in bfloat16, 2 GiB in float32
COPY = 1 << 24  # elements of logits copied to float32 at once

Inputs = dict[str, torch.Tensor]
AnyItem = TypeVar("AnyItem", bound=Item)


def slices(items: Sequence[AnyItem], model: Any) -> Iterator[Sequence[AnyItem]]:
    """A batch in parts that one pass handles well: by the caches of a CPU, and by the logits of scored tokens."""
    longest = max(item.size for item in items)
    rows = max(1, CPU_TOKENS // longest) if model.device.type == "cpu" else len(items)
    scored = max(item.n if isinstance(item, Scored) else 1 for item in items)
    rows = min(rows, max(1, LOGITS // (scored * model.config.get_text_config().vocab_size)))
    return (items[i : i + rows] for i in range(0, len(items), rows))


def pad(rows: Sequence[Sequence[int]], model: Any, *, side: str, fill: int = 0) -> Inputs:
    """Ids, mask and, for left padding if the model takes them, positions: int64 (rows, longest), on its device."""
    lengths = torch.tensor([len(row) for row in rows])
    ids = pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=fill, padding_side=side)
    columns = torch.arange(ids.shape[1])
    if side == "left":
        columns = columns.flip(0)
    mask = (columns < lengths[:, None]).long()
    inputs = {"input_ids": ids, "attention_mask": mask}
    if side == "left" and "position_ids" in inspect.signature(model.forward).parameters:
        inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    return {name: tensor.to(model.device) for name, tensor in inputs.items()}


def loglikelihood(model: Any, items: Sequence[Scored]) -> list[Answer]:
    """The sum of log p(token) in nats over the last n tokens of each item."""
    width = max(item.n for item in items)
    inputs = pad([item.ids[:-1] for item in items], model, side="left")
    targets = pad([item.ids[-item.n :] for item in items], model, side="left")
    logits = model(**inputs, use_cache=False, logits_to_keep=width).logits[:, -width:]
    logprobs = token_logprobs(logits, targets["input_ids"])
    sums = (logprobs.double() * targets["attention_mask"]).sum(-1).tolist()
    return [
        Answer(value=value, tokens_in=len(item.ids) - item.n, tokens_out=item.n)
        for value, item in zip(sums, items, strict=True)
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
    inputs = pad([item.ids for item in items], model, side="right", fill=fill)
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
    inputs = pad([item.ids for item in items], model, side="right", fill=fill or 0)
    values = model(**inputs).logits[:, 0].tolist()
    return [Answer(value=value, tokens_in=len(item.ids)) for value, item in zip(values, items, strict=True)]
