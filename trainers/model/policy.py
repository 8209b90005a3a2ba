"""The model in training: loaded, given adapters if asked, and called for what an objective needs without any logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from trainers.config import RunConfig
from trainers.data.batches import Batch
from trainers.data.folder import Base
from trainers.errors import HandoffError
from trainers.losses.linear import linear_cross_entropy, token_nll
from trainers.model.attention import BY_ROW, implementation, layout
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


class Objective(Protocol):
    """What the policy is called for."""

    def loss(self, policy: Policy, hidden: Tensor, batch: Batch) -> Scored:
        """See `trainers.loop.objective`."""


class Policy(nn.Module):
    """A causal language model as a function from a batch to the loss of an objective."""

    def __init__(self, model: Any, *, dtype: torch.dtype, attention: str, chunk_tokens: int | None = None) -> None:
        super().__init__()
        self.model = model
        self.dtype, self.attention, self.chunk_tokens = dtype, attention, chunk_tokens
        self.neftune_alpha = 0.0

    def forward(self, batch: Batch, objective: Objective) -> Scored:
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
        if self.attention == BY_ROW:
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


def build_policy(base: Base, config: RunConfig, device: torch.device, vocabulary: int) -> Policy:
    """Load the base, or draw its weights, and make it ready to train.

    Raises:
        HandoffError: the base can't be loaded, or isn't a model that this trainer trains rightly.
    """
    dtype, shape = compute_dtype(config, device), _shape(base)
    attention = implementation(device, shape)
    model = _load(base, shape, config, dtype, attention)
    places = model.get_input_embeddings().num_embeddings
    if vocabulary > places:
        raise HandoffError(
            f"the tokenizer of {base.model} has {vocabulary} tokens and the model embeddings for {places}: "
            "use a tokenizer that belongs to the model"
        )
    model.to(device)
    if config.lora_rank is not None:
        model = _with_adapters(model, config)
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    policy = Policy(model, dtype=dtype, attention=attention, chunk_tokens=config.chunk_tokens)
    _probe(policy, base)
    return policy.train()


def compute_dtype(config: RunConfig, device: torch.device) -> torch.dtype:
    """What forward and backward passes calculate in."""
    if config.dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if config.dtype == "bfloat16" else torch.float32


def _shape(base: Base) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(base.model, revision=base.revision)
    except (OSError, ValueError) as error:
        raise HandoffError(f"base model {base.model!r} can't be loaded: {error}") from error


def _load(base: Base, shape: Any, config: RunConfig, dtype: torch.dtype, attention: str) -> Any:
    """The causal language model; weights that train are float32, since bfloat16 would swallow small updates."""
    from transformers import AutoModelForCausalLM

    stored: Any = torch.float32 if config.lora_rank is None else dtype
    auto: Any = AutoModelForCausalLM
    if config.init == "random":
        model = auto.from_config(shape, dtype=stored, attn_implementation=attention)
        model.generation_config = _generation_config(base, model.generation_config)
        return model
    try:
        return auto.from_pretrained(base.model, revision=base.revision, dtype=stored, attn_implementation=attention)
    except (OSError, ValueError) as error:
        raise HandoffError(f"base model {base.model!r} can't be loaded: {error}") from error


def _generation_config(base: Base, default: Any) -> Any:
    """How the base says that it generates, if it does: a model with fresh weights keeps it."""
    from transformers import GenerationConfig

    try:
        return GenerationConfig.from_pretrained(base.model, revision=base.revision or "main")
    except OSError:
        return default


def _with_adapters(model: Any, config: RunConfig) -> Any:
    from peft import LoraConfig, get_peft_model

    assert config.lora_rank is not None
    if config.gradient_checkpointing:
        model.enable_input_require_grads()  # or the checkpointed layers, whose inputs are frozen, get no gradient
    adapters = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=list(config.lora_targets) if config.lora_targets else "all-linear",
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, adapters)
    except ValueError as error:
        raise HandoffError(f"params.lora_targets don't fit this model: {error}") from error


@torch.no_grad()
def _probe(policy: Policy, base: Base) -> None:
    """Two rows in a pack must get the logits that the model itself gives to each of them alone.

    They don't where a layer looks across rows (state spaces, convolutions), or where the model caps or scales what its
    output layer says.
    """
    policy.eval()
    device = policy.head.weight.device
    first, second = torch.arange(3, 8, device=device), torch.arange(8, 11, device=device)
    positions = torch.cat([torch.arange(len(row), device=device) for row in (first, second)])
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=policy.dtype == torch.bfloat16):
            packed = policy.head(policy.hidden(torch.cat([first, second])[None], positions[None]))[0]
            alone = [policy.causal(input_ids=row[None], use_cache=False).logits[0] for row in (first, second)]
    except NotImplementedError as error:
        raise HandoffError(f"{base.model} can't be trained here: {error}") from error
    if not torch.allclose(packed.float(), torch.cat(alone).float(), atol=0.05, rtol=0.05):
        raise HandoffError(
            f"rows of {base.model} in one pack see each other, or it caps or scales its logits after the output layer: "
            "this trainer can't train it; hand off to another one, `setwright handoff --to trl`"
        )
