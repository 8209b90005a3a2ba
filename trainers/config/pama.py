"""What Pareto alignment lets say of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from trainers.config.run import RunConfig


@dataclass(frozen=True, kw_only=True)
class PamaConfig(RunConfig):
    """How to train one policy for several rewards. What the paper leaves open is a parameter here, and so on record.

    `batch_size` counts prompts, `max_length` the tokens of prompt and answer, and packs are those of the answers once
    they are drawn.
    """

    trainer: ClassVar[str] = "pama"

    learning_rate: float = 1e-5
    schedule: Literal["cosine", "linear", "constant"] = "constant"
    warmup: float = 0.0
    rewards: tuple[dict[str, Any], ...] = ()
    """What each is made from, see `trainers.rewards`."""
    method: Literal["pama", "fixed_weights", "mgda_ub", "mgda", "single"] = "pama"
    """pama; rewards under `weights` (MORLHF); weights from gradients with respect to the trunk's states, or to the last
    block or the adapters; one objective."""
    granularity: Literal["token", "sequence", "batch", "batch_scalar", "vector"] = "token"
    """What PAMA's `A(i)` is, see `trainers.losses.pareto.combine`."""
    weights: tuple[float, ...] | None = None
    """Of the rewards in method fixed_weights; None: all the same."""
    objective: str | None = None
    """The name of the reward in method single."""
    noon: bool = True
    """Advantages below 0 are 0."""
    whiten: bool = True
    """Advantages of each objective have mean 0 and variance 1, before `noon`."""
    clip: float = 0.2
    """The epsilon of PPO."""
    ratio_base: Literal["old", "ref"] = "old"
    """Ratios are to the policy that drew the answers, or (as the paper writes it) to the reference."""
    kl_coefficient: float = 0.2
    """The price of a nat of distance to the base, in every objective's token rewards."""
    gamma: float = 1.0
    gae_lambda: float = 0.95
    value_coefficient: float = 0.1
    """What the fit of the values counts beside the policy's loss."""
    ppo_epochs: int = 1
    """Updates on the answers of one step."""
    max_new_tokens: int = 128
    temperature: float = 1.0
    rollout_batch_size: int = 64
    """Answers that are drawn together in one process."""
    over_long: Literal["error", "drop"] = "error"
    """What to do with prompts that leave no room for `max_new_tokens` within `max_length`."""
    bad_rewards: Literal["error", "drop"] = "error"
    """What to do with answers for which a reward has no number."""
    dead_steps: int = 5
    """Steps without any difference in a reward, or any advantage, after which the log warns."""

    def problems(self) -> Iterator[tuple[str, str]]:
        """See `RunConfig`; and what the method lacks, or has no use for."""
        yield from super().problems()
        for names, holds, wanted in _BOUNDS:
            yield from ((name, f"it must be {wanted}") for name in names if not holds(getattr(self, name)))
        if not self.rewards:
            yield "rewards", "name one at least"
        if self.sharding != "none":
            yield "sharding", "answers are drawn from whole weights: use none, and lora_rank for a large base"
        if not self.max_new_tokens < self.max_length:
            yield "max_new_tokens", f"it must be below max_length, {self.max_length}"
        yield from self._of_method()

    def _of_method(self) -> Iterator[tuple[str, str]]:
        if self.granularity != "token" and self.method != "pama":
            yield "granularity", f"method {self.method} has no use for it, only pama"
        if self.weights is not None and self.method != "fixed_weights":
            yield "weights", f"method {self.method} has no use for them, only fixed_weights"
        if (self.objective is None) == (self.method == "single"):
            yield "objective", "method single needs the name of a reward, and no other method has use for one"
        if self.weights is not None and not (min(self.weights) >= 0 and abs(sum(self.weights) - 1) < 1e-9):
            yield "weights", "they must be at least 0, and 1 in sum"


_BOUNDS: tuple[tuple[tuple[str, ...], Callable[[float], bool], str], ...] = (
    (("rollout_batch_size", "ppo_epochs", "max_new_tokens", "dead_steps"), lambda value: value >= 1, "at least 1"),
    (("clip", "temperature"), lambda value: value > 0, "above 0"),
    (("kl_coefficient", "value_coefficient"), lambda value: value >= 0, "at least 0"),
    (("gamma", "gae_lambda"), lambda value: 0 <= value <= 1, "from 0 to 1"),
)
