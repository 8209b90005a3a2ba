"""`train: dpo`: preference optimisation, by DPO (Rafailov et al., arXiv 2305.18290) or one of its relatives.

What a spec may say of it stands here, contradictions included; the training itself is `trainers/dpo.py`, whose
configuration has the same names and defaults.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.operator import Reads, trainer
from engine.operators.trainers._run import Above0, NotNegative, RunParams, Share
from engine.schema import BOOLEAN_TYPE, MESSAGES_TYPE, NUMBER_TYPE

PAIR = ("ref_chosen_logp", "ref_rejected_logp", "ref_chosen_tokens", "ref_rejected_tokens")
SINGLE = ("ref_logp", "ref_tokens")
"""What `score: loglikelihood` writes of pairs, and of single answers."""

WITHOUT_REFERENCE = ("simpo", "orpo")
OF_LOSS = {
    "beta": ("sigmoid", "cdpo", "robust", "hinge", "ipo", "sigmoid_norm", "simpo", "kto"),
    "label_smoothing": ("cdpo", "robust"),
    "gamma": ("simpo",),
    "lambda_or": ("orpo",),
    "desirable_weight": ("kto",),
    "undesirable_weight": ("kto",),
}
"""Parameters that only some losses have, and these losses."""


class DpoParams(RunParams):
    """How to train on preferences.

    - `loss`: sigmoid is DPO itself; cdpo and robust take labels that are wrong with probability `label_smoothing`
      (arXiv 2403.00409); hinge; ipo (2310.12036) and sigmoid_norm compare means per token; simpo (2405.14734, margin
      `gamma`) and orpo (2403.07691, weight `lambda_or`) have no reference; kto (2402.01306) takes single answers that
      are good or bad, and weighs them by `desirable_weight` and `undesirable_weight`.
    - `reference`: `live` asks the base once, before the first step; `precomputed` reads the columns that
      `score: loglikelihood` with the base has written, and refuses those of another model, template or length.
    - `over_long`: `truncate_prompt` cuts the prompt of a row that is longer than `max_length` from its beginning, never
      an answer, and drops rows whose answer alone is too long. `bad_pairs` says what is to be done with pairs of equal
      answers and with empty answers.
    - `batch_size` counts packs, or pairs without packing (kto: rows); `max_length` the tokens of prompt and answer.
    - `share_prompt`: the prompt of a pair is run once for both answers, which pays where prompts are long.
    """

    learning_rate: NotNegative = 1e-6
    warmup: Share = 0.1
    loss: Literal["sigmoid", "cdpo", "robust", "hinge", "ipo", "sigmoid_norm", "simpo", "orpo", "kto"] = "sigmoid"
    beta: Above0 = 0.1
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    gamma: NotNegative = 0.5
    lambda_or: NotNegative = 0.1
    desirable_weight: NotNegative = 1.0
    undesirable_weight: NotNegative = 1.0
    sft_weight: NotNegative = 0.0  # of the chosen answer's NLL per token, beside the loss
    reference: Literal["precomputed", "live", "none"] = "live"
    over_long: Literal["error", "drop", "truncate_prompt"] = "error"
    bad_pairs: Literal["error", "drop"] = "error"
    share_prompt: bool = False

    @model_validator(mode="after")
    def _says_nothing_in_vain(self) -> DpoParams:
        problems = list(self._contradictions())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _contradictions(self) -> Iterator[str]:
        if (self.reference == "none") != (self.loss in WITHOUT_REFERENCE):
            wanted = "none" if self.loss in WITHOUT_REFERENCE else "live or precomputed"
            yield f"reference: {self.reference} doesn't go with loss: {self.loss}; write reference: {wanted}"
        for name, losses in OF_LOSS.items():
            if getattr(self, name) != DpoParams.model_fields[name].default and self.loss not in losses:
                yield f"{name}: means nothing to loss: {self.loss}, only to {' and '.join(losses)}; leave it out"
        if self.reference == "precomputed" and self.over_long == "truncate_prompt":
            yield "over_long: truncate_prompt cuts what reference: precomputed has seen whole; write drop, or live"
        if self.loss in OF_LOSS["label_smoothing"] and not self.label_smoothing:
            yield f"loss: {self.loss} without label_smoothing is sigmoid; say how often labels are wrong"
        for name in ("sft_weight", "share_prompt"):
            if self.loss == "kto" and getattr(self, name):
                yield f"{name}: needs pairs, and loss: kto has none; leave it out"


def _reads(params: DpoParams) -> dict[str, Reads]:
    kto = params.loss == "kto"
    names = ("prompt", "completion") if kto else ("prompt", "chosen", "rejected")
    reads = dict.fromkeys(names, Reads(MESSAGES_TYPE)) | ({"label": Reads(BOOLEAN_TYPE)} if kto else {})
    if params.reference == "precomputed":
        reads |= dict.fromkeys(SINGLE if kto else PAIR, Reads(NUMBER_TYPE))
    return reads


@trainer(params=DpoParams, reads=_reads)
def dpo(params: DpoParams) -> str:  # noqa: ARG001
    """Train a model to prefer the chosen answer of each pair to the rejected one, held near to its base.

    An answer's tokens are those after the prompt as the chat template writes it, its end of turn included. What each
    pair's loss and rewards were stands in the view `train_metrics`; margins, accuracies and the distance to the base,
    step by step, in `train_steps`.
    """
    return "trainers.dpo"
