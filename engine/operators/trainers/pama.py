"""`train: pama`: one policy for several rewards, by PAMA (He and Maghsudi, arXiv 2508.07768) or a baseline beside it.

What a spec may say of it stands here, contradictions included; the training itself is `trainers/pama.py`, whose
configuration has the same names and defaults.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.operator import Reads, trainer
from engine.operators.trainers._rewards import Reward, reward_names
from engine.operators.trainers._run import Above0, Count, NotNegative, RunParams, Share
from engine.schema import MESSAGES_TYPE, PROMPT_TYPE

Unit = Annotated[float, Field(ge=0, le=1)]


class PamaParams(RunParams):
    """How to train for several rewards; what the paper leaves open is a parameter, and so on record.

    - `rewards`: at least one. `use: length` (`clip(l / scale, low, high)`), `use: model` (a sequence classifier) and
      `use: command` (a program) are the trainer's own; `score: SCORER` is any scorer, asked as the training runs, and
      `sql` an expression over the answer (`prompt`, `instruction`, `response`, `messages`) and its prompt's row.
    - `method`: pama; fixed_weights (MORLHF, with `weights`, by default equal); mgda_ub and mgda, whose weights come
      from gradients; single, for the reward that `objective` names.
    - `granularity`: what PAMA's A(i) is: of each token, of an answer, of the batch, a scalar of the batch for all
      tokens, or (our extension) a vector over the batch's tokens.
    - `noon` cuts advantages below 0, after `whiten` has given those of each reward mean 0 and variance 1.
    - `ratio_base`: ratios are to the policy that drew the answers, or, as the paper writes it, to the base.
    - `batch_size` counts prompts, `max_length` the tokens of prompt and answer.
    - `bad_rewards`: what to do with answers for which a reward has no number; `dead_steps`: after how many steps
      without any difference in a reward the log warns.
    """

    learning_rate: NotNegative = 1e-5
    schedule: Literal["cosine", "linear", "constant"] = "constant"
    warmup: Share = 0.0
    rewards: Annotated[tuple[Reward, ...], Field(strict=False)] = ()
    method: Literal["pama", "fixed_weights", "mgda_ub", "mgda", "single"] = "pama"
    granularity: Literal["token", "sequence", "batch", "batch_scalar", "vector"] = "token"
    weights: Annotated[tuple[Unit, ...], Field(strict=False)] | None = None
    objective: str | None = None
    noon: bool = True
    whiten: bool = True
    clip: Above0 = 0.2
    ratio_base: Literal["old", "ref"] = "old"
    kl_coefficient: NotNegative = 0.2  # the price of a nat of distance to the base
    gamma: Unit = 1.0
    gae_lambda: Unit = 0.95
    value_coefficient: NotNegative = 0.1
    ppo_epochs: Count = 1
    max_new_tokens: Count = 128
    temperature: Above0 = 1.0
    rollout_batch_size: Count = Field(64, exclude=True)  # answers that are drawn together
    over_long: Literal["error", "drop"] = "error"  # prompts that leave no room for max_new_tokens
    bad_rewards: Literal["error", "drop"] = "error"
    dead_steps: Count = Field(5, exclude=True)

    @model_validator(mode="after")
    def _says_nothing_in_vain(self) -> PamaParams:
        problems = list(self._contradictions())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _contradictions(self) -> Iterator[str]:
        names = reward_names(self.rewards)
        if not names:
            yield "rewards: name one at least"
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            yield f"rewards: more than one is called {', '.join(twice)}"
        if not self.max_new_tokens < self.max_length:
            yield f"max_new_tokens: must be below max_length, {self.max_length}"
        if self.granularity != "token" and self.method != "pama":
            yield f"granularity: means nothing to method: {self.method}, only to pama; leave it out"
        yield from self._of_weights(names)

    def _of_weights(self, names: list[str]) -> Iterator[str]:
        if self.method == "single" and self.objective not in names:
            yield f"objective: method: single needs the name of a reward: {', '.join(names)}"
        if self.method != "single" and self.objective is not None:
            yield f"objective: means nothing to method: {self.method}, only to single; leave it out"
        if self.weights is None:
            return
        if self.method != "fixed_weights":
            yield f"weights: mean nothing to method: {self.method}, only to fixed_weights; leave them out"
        elif len(self.weights) != len(names):
            yield f"weights: {len(self.weights)} for {len(names)} rewards; give one for each"
        if abs(sum(self.weights) - 1) >= 1e-9:
            yield f"weights: must be 1 in sum, found {sum(self.weights):g}"


def _reads(params: PamaParams) -> dict[str, Reads]:  # noqa: ARG001
    return {"prompt": Reads(PROMPT_TYPE, optional=True), "messages": Reads(MESSAGES_TYPE, optional=True)}


@trainer(params=PamaParams, reads=_reads)
def pama(params: PamaParams) -> str:  # noqa: ARG001
    """Train a model for several rewards of its own answers, without weights set by hand, held near to its base.

    A prompt is the column `prompt`, a text as it stands or messages, or else `messages` up to the last turn of the
    user. Every answer with its rewards stands in the view `train_metrics`; means, weights of the rewards and the
    distance to the base, step by step, in `train_steps`.
    """
    return "trainers.pama"
