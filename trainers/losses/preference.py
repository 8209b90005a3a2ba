"""Losses of preference optimisation, from the log-probabilities of whole answers; no model, no data, no loop.

`h(y) = log pi(y|x) - log pi_ref(y|x)` is summed over the scored tokens of an answer, its end of turn among
them and the prompt not. Every loss is a number per pair (KTO: per answer); what they are averaged over is the
objective's business.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from trainers.config import DpoConfig


@dataclass(frozen=True)
class Answers:
    """What is known of `B` answers, each `[B]`."""

    logp: Tensor
    """Under the policy, summed over the answer's tokens."""
    reference: Tensor
    """Under the reference; zeros for losses without one."""
    tokens: Tensor
    """How many were scored."""

    def __getitem__(self, some: slice | Tensor) -> Answers:
        return Answers(self.logp[some], self.reference[some], self.tokens[some])

    @property
    def ratio(self) -> Tensor:
        """`h`, the log-ratio of policy and reference."""
        return self.logp - self.reference

    @property
    def mean_ratio(self) -> Tensor:
        """`h` per token."""
        return self.ratio / self.tokens

    @property
    def mean_logp(self) -> Tensor:
        """Log-probability per token."""
        return self.logp / self.tokens


def pair_loss(chosen: Answers, rejected: Answers, config: DpoConfig) -> Tensor:
    """The loss of each pair, `[B]`, its SFT term included (arXiv 2404.19733, equation 1)."""
    loss = _pair_loss(chosen, rejected, config)
    return loss - config.sft_weight * chosen.mean_logp if config.sft_weight else loss


def _pair_loss(chosen: Answers, rejected: Answers, config: DpoConfig) -> Tensor:
    beta, wrong = config.beta, config.label_smoothing
    margin, mean_margin = chosen.ratio - rejected.ratio, chosen.mean_ratio - rejected.mean_ratio
    match config.loss:
        case "sigmoid":
            return sigmoid(margin, beta)
        case "cdpo":
            return cdpo(margin, beta, wrong)
        case "robust":
            return robust(margin, beta, wrong)
        case "hinge":
            return hinge(margin, beta)
        case "ipo":
            return ipo(mean_margin, beta)
        case "sigmoid_norm":
            return sigmoid(mean_margin, beta)
        case "simpo":
            return simpo(chosen.mean_logp, rejected.mean_logp, beta, config.gamma)
        case "orpo":
            return orpo(chosen.mean_logp, rejected.mean_logp, config.lambda_or)
        case "kto":
            raise ValueError("KTO is a loss of single answers, not of pairs")


def rewards(answers: Answers, config: DpoConfig) -> Tensor:
    """What the loss takes for the reward of each answer, `[B]`: it is differences of these that it looks at."""
    if config.loss == "orpo":
        return config.lambda_or * answers.mean_logp
    if config.loss == "simpo":
        return config.beta * answers.mean_logp
    return config.beta * (answers.mean_ratio if config.loss in ("ipo", "sigmoid_norm") else answers.ratio)


def sigmoid(margin: Tensor, beta: float) -> Tensor:
    """DPO, `-log s(beta D)` (arXiv 2305.18290, equation 7); of margins per token it is the length-normalised DPO.

    Args:
        margin: `D = h(chosen) - h(rejected)`, `[B]`.
        beta: how near to the reference the policy is held.
    """
    return -logsigmoid(beta * margin)


def cdpo(margin: Tensor, beta: float, wrong: float) -> Tensor:
    """Conservative DPO, `-(1 - e) log s(beta D) - e log s(-beta D)`, for labels wrong with probability e.

    As in "A note on DPO with noisy preferences" (Mitchell, 2023); compared in arXiv 2403.00409, section 3.
    """
    return (1 - wrong) * sigmoid(margin, beta) + wrong * sigmoid(-margin, beta)


def robust(margin: Tensor, beta: float, wrong: float) -> Tensor:
    """The unbiased loss under labels that are wrong with probability e < 0.5 (arXiv 2403.00409, section 3.1)."""
    return ((1 - wrong) * sigmoid(margin, beta) - wrong * sigmoid(-margin, beta)) / (1 - 2 * wrong)


def hinge(margin: Tensor, beta: float) -> Tensor:
    """`max(0, 1 - beta D)` (SLiC, arXiv 2305.10425, on DPO's margin as in arXiv 2309.06657, section 3.2)."""
    return relu(1 - beta * margin)


def ipo(mean_margin: Tensor, beta: float) -> Tensor:
    """`(D - 1 / (2 beta))^2` (arXiv 2310.12036, equation 17).

    The margin is one per token, as the authors of the paper have confirmed to TRL.
    """
    return (mean_margin - 1 / (2 * beta)).square()


def simpo(chosen: Tensor, rejected: Tensor, beta: float, gamma: float) -> Tensor:
    """`-log s(beta (m_w - m_l) - gamma)`, of log-probabilities per token (arXiv 2405.14734, equation 6)."""
    return -logsigmoid(beta * (chosen - rejected) - gamma)


def orpo(chosen: Tensor, rejected: Tensor, weight: float) -> Tensor:
    """NLL per token of the chosen answer, and the log-odds ratio (arXiv 2403.07691, equations 4, 6 and 7).

    `-m_w - weight * log s(log odds_w - log odds_l)`, where the odds are those of `P = exp(m)`.
    """
    return -chosen - weight * logsigmoid(_log_odds(chosen) - _log_odds(rejected))


def kto(ratio: Tensor, good: Tensor, shift: Tensor | float, config: DpoConfig) -> Tensor:
    """The loss of each answer, `[B]` (arXiv 2402.01306, equation 7).

    `lambda_D (1 - s(r - z))` of good answers and `lambda_U (1 - s(z - r))` of bad ones, with rewards `r = beta h`.

    Args:
        ratio: `h`, `[B]`.
        good: the answer is desirable, `[B]`, bool.
        shift: `z`, from `kto_shift`; no gradient flows through it.
        config: beta and the two lambdas.
    """
    distance = config.beta * ratio - shift
    return torch.where(
        good, config.desirable_weight * torch.sigmoid(-distance), config.undesirable_weight * torch.sigmoid(distance)
    )


def kto_shift(mean_mismatched: float, beta: float) -> float:
    """KTO's `z`: beta times the mean `h` of answers to other prompts than their own, and at least 0."""
    return beta * max(0.0, mean_mismatched)


def _log_odds(mean_logp: Tensor) -> Tensor:
    """`log(P / (1 - P))` of `P = exp(mean_logp)`, which is kept off 1, where the odds are infinite."""
    inside = mean_logp.clamp(max=-1e-7)
    return inside - torch.log(-torch.expm1(inside))
