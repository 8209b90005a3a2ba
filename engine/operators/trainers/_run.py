"""What every trainer lets a spec say of a run: its length, its optimiser, its batches, its arithmetic, its adapters.

The names and defaults are those of `trainers/config/run.py`. Parameters that only decide speed and memory are left out
of a model's identity (`exclude`).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from engine.operator import Params

Above0 = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class RunParams(Params):
    """How to train, whatever the objective."""

    epochs: Above0 = 1.0
    max_steps: Count | None = None  # whatever `epochs` says
    learning_rate: NotNegative = 2e-5
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Share = 0.03  # share of the steps
    min_learning_rate: NotNegative = 0.0
    optimizer: Literal["adamw", "muon"] = "adamw"  # muon: for the hidden matrices alone
    muon_learning_rate: NotNegative = 0.02
    weight_decay: NotNegative = 0.0
    betas: Annotated[tuple[Share, Share], Field(strict=False)] = (0.9, 0.999)
    max_grad_norm: Above0 = 1.0
    batch_size: Count = 32  # packs, or items without packing, of an optimiser step, over all processes
    micro_batch_size: Count | None = Field(None, exclude=True)  # packs of one forward pass; None: by tokens
    max_length: int = Field(2048, ge=2)  # tokens of a row
    packing: bool = True
    chunk_tokens: Count | None = Field(None, exclude=True)  # tokens whose logits are in memory at once
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 on a GPU, float32 on a CPU
    lora_rank: Count | None = None  # None: all weights are trained
    lora_alpha: Count = 16
    lora_dropout: Share = 0.0
    lora_targets: Annotated[tuple[str, ...], Field(strict=False)] | None = None  # None: every linear layer but the head
    quantization: Literal["4bit", "8bit"] | None = None  # of the base below the adapters, by bitsandbytes
    sharding: Literal["none", "full"] = Field("none", exclude=True)  # full: weights are split over processes (FSDP)
    gradient_checkpointing: bool = Field(False, exclude=True)
    chat_template: str | None = None  # Jinja instead of the base's; `plain`: contents one after the other
    init: Literal["pretrained", "random"] = "pretrained"  # random: weights from the seed
    save_steps: int = Field(0, ge=0, exclude=True)  # 0: a checkpoint only where the build is stopped
    keep_checkpoints: Count = Field(2, exclude=True)
    report_to: Literal["none", "tensorboard", "wandb"] = Field("none", exclude=True)  # follows the run

    @model_validator(mode="after")
    def _adapters_on_what_is_quantised(self) -> Self:
        if self.quantization is not None and self.lora_rank is None:
            raise ValueError("quantization: a quantised base can't be trained itself; give lora_rank")
        return self
