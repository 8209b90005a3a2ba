"""`train: sft`: supervised fine-tuning on conversations, or on prompts and completions.

What a spec may say of it stands here; the training itself is `trainers/sft.py`, whose configuration has the same names
and defaults. Parameters that only decide speed and memory are left out of a model's identity (`exclude`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.operator import Params, Reads, trainer
from engine.schema import MESSAGES_TYPE, TEXT_TYPE

Above0 = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class SftParams(Params):
    """How to train; `format` says which columns the rows have, and `loss` what is averaged over a step."""

    format: Literal["conversation", "completion", "both"] = "conversation"  # both: either, row by row
    train_on: Literal["assistant", "all"] = "assistant"  # all: every token of the row
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
    batch_size: Count = 32  # packs, or rows without packing, of an optimiser step, over all processes
    micro_batch_size: Count | None = Field(None, exclude=True)  # packs of one forward pass; None: by tokens
    max_length: int = Field(2048, ge=2)  # tokens of a row, and of a pack
    packing: bool = True
    over_long: Literal["error", "drop", "truncate"] = "error"  # what to do with a row longer than max_length
    loss: Literal["token_mean", "sum", "per_sequence_mean"] = "token_mean"
    chunk_tokens: Count | None = Field(None, exclude=True)  # tokens whose logits are in memory at once
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 on a GPU, float32 on a CPU
    lora_rank: Count | None = None  # None: all weights are trained
    lora_alpha: Count = 16
    lora_dropout: Share = 0.0
    lora_targets: Annotated[tuple[str, ...], Field(strict=False)] | None = None  # None: every linear layer but the head
    gradient_checkpointing: bool = Field(False, exclude=True)
    chat_template: str | None = None  # Jinja instead of the base's; `plain`: contents one after the other
    init: Literal["pretrained", "random"] = "pretrained"  # random: weights from the seed
    save_steps: int = Field(0, ge=0, exclude=True)  # 0: a checkpoint only where the build is stopped
    keep_checkpoints: Count = Field(2, exclude=True)


def _reads(params: SftParams) -> dict[str, Reads]:
    talk = {"messages": Reads(MESSAGES_TYPE, optional=params.format == "both")}
    plain = {
        "prompt": Reads(TEXT_TYPE, optional=params.format == "both"),
        "completion": Reads(TEXT_TYPE, optional=params.format == "both"),
    }
    return {"conversation": talk, "completion": plain, "both": talk | plain}[params.format]


@trainer(params=SftParams, reads=_reads)
def sft(params: SftParams) -> str:  # noqa: ARG001
    """Fine-tune a base model on the assistant's turns of conversations, or on completions.

    Rows are packed without seeing each other, and the loss is the mean over the target tokens of the whole optimiser
    step. The new model is a folder that transformers loads; what each row's loss was stands in the view
    `train_metrics`, the course of the training in `train_steps`.
    """
    return "trainers.sft"
