"""The model in training: loaded, given adapters if asked, and called for what an objective needs without any logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from trainers.data.batches import Batch
from trainers.losses.linear import linear_cross_entropy, token_nll
from trainers.model.attention import BY_ROW, layout
from trainers.model.branches import mask
from trainers.model.noise import with_noise


@dataclass(frozen=True)
class Scored:
    """What a forward pass gives: the loss, and what is known of each of its `N` targets."""

    loss: Tensor
    """Scalar, float32."""
    nll: Tensor
    """`[N]`, float32, without a gradient."""
    hits: Tensor
    """`[N]`, bool: the target was the likeliest token."""


class HasLoss(Protocol):
    """What the policy is called for: an objective, or what only measures (`likelihood`)."""

    def loss(self, policy: Policy, hidden: Tensor, batch: Batch) -> Scored:
        """See `trainers.loop.objective`."""


class Policy(nn.Module):
    """A causal language model as a function from a batch to the loss of an objective."""

    def __init__(self, model: Any, *, dtype: torch.dtype, attention: str, chunk_tokens: int | None = None) -> None:
        super().__init__()
        self.model = model
        self.dtype, self.attention, self.chunk_tokens = dtype, attention, chunk_tokens
        self.neftune_alpha, self.branching = 0.0, False

    def forward(self, batch: Batch, objective: HasLoss) -> Scored:
        """The objective's loss; it sees the states of positions whose next token is a target, and no others."""
        with torch.autocast(batch.input_ids.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            states = self.hidden(batch.input_ids, batch.position_ids)
            return objective.loss(self, states.flatten(0, 1)[batch.sources], batch)

    def weighted_nll(self, hidden: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `linear_cross_entropy`, under this model's output layer."""
        return linear_cross_entropy(hidden, self.head.weight, self.head.bias, targets, weights, self.chunk_tokens)

    def token_nll(self, hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """See `losses.linear.token_nll`, under this model's output layer."""
        return token_nll(hidden, self.head.weight, self.head.bias, targets, self.chunk_tokens)

    def hidden(self, input_ids: Tensor, position_ids: Tensor) -> Tensor:
        """Last hidden states of packs, `[P, L]` to `[P, L, H]`; a token sees its own row alone."""
        shape, extra = input_ids.shape, {}
        if self.branching:
            extra = {"attention_mask": mask(position_ids, self.attention)}
        elif self.attention == BY_ROW:
            extra = {"rows": layout(position_ids)}
        elif self.attention.startswith("flash"):  # which finds rows only within a single line
            input_ids, position_ids = input_ids.reshape(1, -1), position_ids.reshape(1, -1)
        read: dict[str, Tensor] = {"input_ids": input_ids}
        if self.training and self.neftune_alpha:
            embeddings = self.causal.get_input_embeddings()(input_ids)
            read = {"inputs_embeds": with_noise(embeddings, position_ids, self.neftune_alpha)}
        states = self.decoder(**read, position_ids=position_ids, use_cache=False, **extra).last_hidden_state
        return states.reshape(*shape, -1)  # type: ignore[no-any-return]

    @property
    def causal(self) -> Any:
        """The causal language model, from within its adapters if it has any."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    @property
    def decoder(self) -> Any:
        """The model without its head."""
        return self.causal.get_decoder()

    @property
    def head(self) -> Any:
        """The output layer."""
        return self.causal.get_output_embeddings()
