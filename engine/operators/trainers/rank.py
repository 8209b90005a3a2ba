"""`train: rank`: list-wise training, by RRHF (Yuan et al., arXiv 2304.05302) or PRO (Song et al., arXiv 2306.17492).

What a spec may say of it stands here, contradictions included; the training itself is `trainers/rank.py`, whose
configuration has the same names and defaults.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pyarrow as pa
from pydantic import model_validator

from engine.operator import Reads, trainer
from engine.operators.trainers._run import NotNegative, RunParams
from engine.schema import PROMPT_TYPE, ColumnType, is_list, is_number, is_text

TEXTS_TYPE = ColumnType("list<string>", lambda t: is_list(t) and is_text(t.value_type))
INDICES_TYPE = ColumnType("list<integer>", lambda t: is_list(t) and pa.types.is_integer(t.value_type))
NUMBERS_TYPE = ColumnType("list<number>", lambda t: is_list(t) and is_number(t.value_type))


class RankParams(RunParams):
    """How to train on rankings. The score `p` of an answer is its log-probability per token.

    - `loss`: rrhf is the sum of `max(0, p_worse - p_better)` over the pairs of a ranking; pro the sum of
      `-log(exp(p_k) / sum exp(p_i))` over its answers `k`, each among itself and the worse ones.
    - `rank_weight` is of that loss, `sft_weight` of the best answer's NLL per token. RRHF's paper takes the NLL in sum
      with weights of 1, its code in mean with a rank_weight of 100; PRO in sum with a sft_weight of 0.05 (l - 1)^2 for
      l answers. CycleAlign's are not known: the default of 1 for both lies between those of RRHF, and is ours.
    - `length_exponent`: `p` is divided by this power of the number of tokens; 1 is the mean, 0 the sum.
    - `reward_gaps` (pro): scales the scores by the gaps between the answers' `rewards`, which fall along the ranking.
    - `over_long`: `truncate_prompt` cuts the prompt of a row with an answer that is longer than `max_length` with it,
      and drops rows of which an answer alone is too long. `bad_rows` says what is to be done with rankings that repeat
      an answer, name none, or fewer than two, with rewards that don't fall, and with equal and empty answers.
    - `batch_size` counts packs, or rankings without packing; `max_length` the tokens of prompt and one answer.
    """

    loss: Literal["rrhf", "pro"] = "rrhf"
    rank_weight: NotNegative = 1.0
    sft_weight: NotNegative = 1.0
    length_exponent: NotNegative = 1.0
    reward_gaps: bool = False
    over_long: Literal["error", "drop", "truncate_prompt"] = "error"
    bad_rows: Literal["error", "drop"] = "error"

    @model_validator(mode="after")
    def _says_nothing_in_vain(self) -> RankParams:
        problems = list(self._contradictions())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _contradictions(self) -> Iterator[str]:
        if self.rank_weight == self.sft_weight == 0:
            yield "rank_weight: with sft_weight: 0 there is nothing to train; raise one of them"
        if self.reward_gaps and self.loss != "pro":
            yield f"reward_gaps: means nothing to loss: {self.loss}, only to pro; leave it out"


def _reads(params: RankParams) -> dict[str, Reads]:
    reads = {"prompt": Reads(PROMPT_TYPE), "responses": Reads(TEXTS_TYPE), "train_ranking": Reads(INDICES_TYPE)}
    return reads | ({"rewards": Reads(NUMBERS_TYPE)} if params.reward_gaps else {})


@trainer(params=RankParams, reads=_reads)
def rank(params: RankParams) -> str:  # noqa: ARG001
    """Train a model to find the answers to a prompt likely in the order of their ranking, and to speak as the best one.

    `train_ranking` holds indices into `responses`, from 0, the best answer first; answers that it leaves out are not
    trained on. A `prompt` that is a text is one turn of the user. There is no reference model. What each ranking gave
    stands in the view `train_metrics`; the share of pairs in the right order, step by step, in `train_steps`.
    """
    return "trainers.rank"
