"""Adapters on a frozen base (LoRA, arXiv 2106.09685), which may be in 4 or 8 bits (QLoRA, arXiv 2305.14314)."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch

from trainers.config import RunConfig
from trainers.errors import HandoffError


def quantized(bits: str, dtype: torch.dtype, device: torch.device) -> dict[str, Any]:
    """What `from_pretrained` is told to load a base in 4 bits (NF4, with quantised constants) or 8.

    Raises:
        HandoffError: bitsandbytes isn't installed, or there is no GPU: through its kernels for CPUs no gradient comes,
            and torch only warns of it.
    """
    from transformers import BitsAndBytesConfig

    if device.type == "cpu":
        raise HandoffError(f"params.quantization is {bits!r}, which needs a GPU: leave it out to train on a CPU")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise HandoffError(
            f"params.quantization is {bits!r}, and bitsandbytes isn't installed: pip install bitsandbytes"
        )
    config: Any = BitsAndBytesConfig
    how = (
        config(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
        if bits == "4bit"
        else config(load_in_8bit=True)
    )
    return {"quantization_config": how, "device_map": {"": device}}


def with_adapters(model: Any, config: RunConfig) -> Any:
    """The model with adapters that alone are trained.

    Raises:
        HandoffError: it has no layers by the names of `lora_targets`.
    """
    import peft

    assert config.lora_rank is not None
    prepare: Any = peft.prepare_model_for_kbit_training
    if config.quantization is not None:
        model = prepare(model, use_gradient_checkpointing=False)
    if config.gradient_checkpointing:
        model.enable_input_require_grads()  # or the checkpointed layers, whose inputs are frozen, get no gradient
    adapters = peft.LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=list(config.lora_targets) if config.lora_targets else "all-linear",
        task_type="CAUSAL_LM",
    )
    try:
        return peft.get_peft_model(model, adapters)
    except ValueError as error:
        raise HandoffError(f"params.lora_targets don't fit this model: {error}") from error
