"""`train: sft`: supervised fine-tuning on conversations, or on prompts and completions.

What a spec may say of it stands here; the training itself is `trainers/sft.py`, whose configuration has the same names
and defaults.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.operator import Reads, trainer
from engine.operators.trainers._run import RunParams
from engine.schema import MESSAGES_TYPE, TEXT_TYPE


class SftParams(RunParams):
    """How to train; `format` says which columns the rows have, and `loss` what is averaged over a step."""

    format: Literal["conversation", "completion", "both"] = "conversation"  # both: either, row by row
    train_on: Literal["assistant", "all"] = "assistant"  # all: every token of the row
    over_long: Literal["error", "drop", "truncate"] = "error"  # what to do with a row longer than max_length
    loss: Literal["token_mean", "sum", "per_sequence_mean", "long_ce_ema"] = "token_mean"
    neftune_alpha: float = Field(0.0, ge=0)  # noise on the embeddings, 5 in the long-output recipe; 0: none


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
