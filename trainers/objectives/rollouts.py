"""Answers of the policy to a step's prompts, with their rewards: rows of tokens that were drawn, not given.

Every process draws its share and scores it by the rewards; then all of them hold all answers, so that what follows from
the whole step (means, weights of objectives) is the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from trainers.config import PamaConfig
from trainers.data.batches import Batch
from trainers.data.plan import Plan, Window
from trainers.data.prompts import Asked
from trainers.data.rows import Tokens
from trainers.loop.steps import TrainingError
from trainers.model.policy import Policy
from trainers.model.sampling import Ids, sample
from trainers.rewards import Answers, RewardError, Rewards

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import PreTrainedTokenizerFast

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rollouts:
    """The answers to the prompts of a window, `k` of them; `m` are trained on, in the order of `places`."""

    responses: list[str]
    """`[k]`."""
    rewards: Floats
    """`[k, n]`, NaN where a reward has no number."""
    places: npt.NDArray[np.int64]
    """`[m]`: which of the window's rows have all of their rewards."""
    lengths: npt.NDArray[np.int64]
    """`[m]`: tokens of the answers."""
    plan: Plan
    """Of `m` rows, prompts with their answers, in one window; the answers' `N` tokens are the targets."""

    @property
    def mask(self) -> Tensor:
        """`[m, T]`, bool: where an answer has a token."""
        return torch.from_numpy(np.arange(self.lengths.max()) < self.lengths[:, None])

    def padded(self, tokens: Tensor) -> Tensor:
        """What is known of the tokens, `[N, ...]`, as `[m, T, ...]` with 0 after each answer."""
        table = tokens.new_zeros(*self.mask.shape, *tokens.shape[1:])
        table[self.mask] = tokens
        return table

    def batches(self, rank: int, world: int) -> list[Batch]:
        """The forward passes of one process; `segments` are places in the window that the prompts came from."""
        window = self.plan.window(0)
        passes = self.plan.batches(window, np.zeros(len(window.rows)), rank, world)
        places = torch.from_numpy(self.places)
        return [replace(batch, segments=places[batch.rows]) for batch in passes]

    def target_of(self, batch: Batch) -> Tensor:
        """Which of the `N` tokens each target of a batch is."""
        before = torch.from_numpy(np.cumsum(self.plan.tokens.mask) - 1)
        return before[batch.places.cpu()]


class Roller:
    """Draws the answers of one training."""

    def __init__(
        self,
        config: PamaConfig,
        tokenizer: PreTrainedTokenizerFast,
        policy: Policy,
        prompts: Plan,
        asked: Asked,
        rewards: Rewards,
    ) -> None:
        self.config, self.tokenizer, self.policy = config, tokenizer, policy
        self.prompts, self.asked, self.rewards = prompts, asked, rewards
        named = policy.causal.generation_config.eos_token_id
        self.ends = sorted({tokenizer.eos_token_id, *(named if isinstance(named, list) else [named])} - {None})

    def roll_out(self, window: Window, accelerator: Accelerator) -> Rollouts:
        """Answers to all of a window's prompts; where a reward has no number for one, `bad_rewards` decides.

        Raises:
            TrainingError: an answer may not go without a reward, or all of them would; or a reward gave up.
        """
        mine = np.arange(accelerator.process_index, len(window.rows), accelerator.num_processes)
        rows = window.rows[mine]
        drawn = self._drawn(window, rows)
        texts = [str(self.tokenizer.decode(answer, skip_special_tokens=True)) for answer in drawn]
        answers = Answers(
            [self.prompts.row_ids[int(row)].as_py() for row in rows],
            self.asked.of(rows.tolist()),
            texts,
            np.array([len(answer) for answer in drawn], np.int64),
        )
        try:
            rewards = self.rewards(answers)
        except RewardError as error:
            raise TrainingError(f"step {window.step + 1}: {error}") from error
        parts = _gathered(accelerator, (mine, drawn, texts, rewards))
        order = np.argsort(np.concatenate([part[0] for part in parts]))
        drawn, texts = ([entry for part in parts for entry in part[at]] for at in (1, 2))
        scores = np.concatenate([part[3] for part in parts])[order]
        return self._rollouts(window, [drawn[i] for i in order], [texts[i] for i in order], scores)

    def _drawn(self, window: Window, rows: npt.NDArray[np.int64]) -> list[Ids]:
        seed, most = self.prompts.seed, self.config.max_new_tokens
        draws = [np.random.default_rng([seed, window.step, int(row)]).random(most) for row in rows]
        return sample(
            self.policy,
            [self._prompt(row) for row in rows],
            np.array(draws).reshape(len(rows), most),
            self.ends,
            temperature=self.config.temperature,
            batch_size=self.config.rollout_batch_size,
        )

    def _prompt(self, row: int) -> Ids:
        tokens = self.prompts.tokens
        return tokens.ids[tokens.offsets[row] : tokens.offsets[row + 1]].astype(np.int64)

    def _rollouts(self, window: Window, drawn: list[Ids], texts: list[str], scores: Floats) -> Rollouts:
        bad = np.isnan(scores)
        places = np.flatnonzero(~bad.any(axis=1))
        if bad.any() and (self.config.bad_rewards == "error" or not len(places)):
            raise TrainingError(self._lacking(window, bad))
        rows = window.rows[places]
        prompts, answers = [self._prompt(row) for row in rows], [drawn[place] for place in places]
        lengths = np.array([len(answer) for answer in answers], np.int64)
        tokens = _rows(prompts, answers, self.prompts.row_ids.take(pa.array(rows)))
        whole = replace(self.config, batch_size=len(rows), epochs=1.0, max_steps=None)
        plan = Plan(tokens, whole, self.prompts.seed, self.policy.head.weight.device.type)
        return Rollouts(texts, scores, places, lengths, plan)

    def _lacking(self, window: Window, bad: npt.NDArray[np.bool_]) -> str:
        names = " and ".join(self.rewards.names[at] for at in np.flatnonzero(bad.any(axis=0)))
        rows = [self.prompts.row_ids[int(row)].as_py() for row in window.rows[bad.any(axis=1)]]
        named = ", ".join([*rows[:5], *(["..."] if len(rows) > 5 else [])])
        return (
            f"step {window.step + 1}: {names} has no number for {len(rows)} of {len(bad)} answers (to rows {named}): "
            "mend the reward, or leave such answers out by bad_rewards: drop"
        )


def _rows(prompts: list[Ids], answers: list[Ids], row_ids: pa.Array) -> Tokens:
    """Prompts with their answers, which alone are targets."""
    parts = [part for pair in zip(prompts, answers, strict=True) for part in pair]
    sizes = np.array([len(part) for part in parts], np.int64)
    return Tokens(
        np.concatenate(parts).astype(np.int32),
        np.repeat(np.arange(len(parts)) % 2 == 1, sizes),
        np.concatenate([[0], np.cumsum(sizes.reshape(-1, 2).sum(axis=1))]).astype(np.int64),
        pa.chunked_array([row_ids]),
    )


def _gathered(accelerator: Accelerator, mine: Any) -> list[Any]:
    """What each process has, in all of them."""
    from accelerate.utils import gather_object

    return list(gather_object([mine])) if accelerator.num_processes > 1 else [mine]
