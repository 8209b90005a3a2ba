"""From a base to a policy that is ready to train: loaded or drawn, given adapters, and tried for packed rows."""

from __future__ import annotations

from typing import Any

import torch

from trainers.config import RunConfig
from trainers.data.folder import Base
from trainers.errors import HandoffError
from trainers.model.adapters import quantized, with_adapters
from trainers.model.attention import implementation
from trainers.model.branches import branching
from trainers.model.policy import Policy


def build_policy(base: Base, config: RunConfig, device: torch.device, vocabulary: int) -> Policy:
    """Load the base, or draw its weights, and make it ready to train.

    Raises:
        HandoffError: the base can't be loaded, or isn't a model that this trainer trains rightly.
    """
    dtype, shape = compute_dtype(config, device), _shape(base)
    attention = branching(device, shape) if config.branching else implementation(device, shape)
    model = _load(base, shape, config, dtype, attention, device)
    places = model.get_input_embeddings().num_embeddings
    if vocabulary > places:
        raise HandoffError(
            f"the tokenizer of {base.model} has {vocabulary} tokens and the model embeddings for {places}: "
            "use a tokenizer that belongs to the model"
        )
    if config.quantization is None:
        model.to(device)
    if config.lora_rank is not None:
        model = with_adapters(model, config)
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    policy = Policy(model, dtype=dtype, attention=attention, chunk_tokens=config.chunk_tokens)
    policy.branching = config.branching
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


def _load(base: Base, shape: Any, config: RunConfig, dtype: torch.dtype, attention: str, device: torch.device) -> Any:
    """The causal language model; weights that train are float32, since bfloat16 would swallow small updates."""
    from transformers import AutoModelForCausalLM

    stored: Any = torch.float32 if config.lora_rank is None else dtype
    auto: Any = AutoModelForCausalLM
    narrow = {} if config.quantization is None else quantized(config.quantization, dtype, device)
    if config.init == "random":
        model = auto.from_config(shape, dtype=stored, attn_implementation=attention)
        model.generation_config = _generation_config(base, model.generation_config)
        return model
    try:
        return auto.from_pretrained(
            base.model, revision=base.revision, dtype=stored, attn_implementation=attention, **narrow
        )
    except (OSError, ValueError) as error:
        raise HandoffError(f"base model {base.model!r} can't be loaded: {error}") from error


def _generation_config(base: Base, default: Any) -> Any:
    """How the base says that it generates, if it does: a model with fresh weights keeps it."""
    from transformers import GenerationConfig

    try:
        return GenerationConfig.from_pretrained(base.model, revision=base.revision or "main")
    except OSError:
        return default


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
