"""Optimisers and the learning rate, a function of the step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from trainers.config import RunConfig
from trainers.model.policy import Policy
from trainers.model.sharding import spread


class Optimizers:
    """AdamW, and Muon beside it where that is asked for, stepped as one."""

    def __init__(self, policy: Policy, config: RunConfig, steps: int) -> None:
        self.config, self.steps = config, steps
        self.parts: list[torch.optim.Optimizer] = _build(policy, config)

    def rate(self, step: int) -> float:
        """The share of the peak learning rates at a step, counted from 0."""
        config, warm = self.config, math.ceil(self.config.warmup * self.steps)
        if step < warm:
            return (step + 1) / warm
        done = (step - warm) / max(1, self.steps - warm)
        shape = {"cosine": (1 + math.cos(math.pi * done)) / 2, "linear": 1 - done, "constant": 1.0}[config.schedule]
        floor = min(1.0, config.min_learning_rate / config.learning_rate) if config.learning_rate else 0.0
        return floor + (1 - floor) * shape

    def step(self, step: int) -> None:
        """Update the weights from their gradients, at this step's rates, and forget the gradients."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = group["peak"] * self.rate(step)
            part.step()
            part.zero_grad(set_to_none=True)

    def state(self) -> list[dict[str, Any]]:
        """What a checkpoint keeps."""
        return [part.state_dict() for part in self.parts]

    def load(self, states: list[dict[str, Any]]) -> None:
        """Go on from `state`."""
        for part, state in zip(self.parts, states, strict=True):
            trained = [parameter for group in part.param_groups for parameter in group["params"]]
            shares = {
                number: {name: spread(value, trained[number]) for name, value in of_one.items()}
                for number, of_one in state["state"].items()
            }
            part.load_state_dict({**state, "state": shares})


def _build(policy: Policy, config: RunConfig) -> list[torch.optim.Optimizer]:
    matrices, others = _split(policy) if config.optimizer == "muon" else ([], _trained(policy))
    fused = all(parameter.device.type in ("cuda", "cpu") for parameter in others)
    built: list[torch.optim.Optimizer] = []
    if others:
        adamw = {"params": others, "peak": config.learning_rate}
        built.append(
            torch.optim.AdamW(
                [adamw], config.learning_rate, betas=config.betas, weight_decay=config.weight_decay, fused=fused
            )
        )
    if matrices:
        muon = {"params": matrices, "peak": config.muon_learning_rate}
        built.append(torch.optim.Muon([muon], config.muon_learning_rate, weight_decay=config.weight_decay))
    return built


def _trained(policy: Policy) -> list[nn.Parameter]:
    return [parameter for parameter in policy.parameters() if parameter.requires_grad]


def _split(policy: Policy) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Hidden matrices, and the rest: Muon's update has no meaning for vectors, and does worse on embeddings and heads.

    Keller Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024).
    """
    outside = {id(policy.head.weight), id(policy.causal.get_input_embeddings().weight)}
    inside = (part for part in policy.model.parameters() if part.requires_grad and id(part) not in outside)
    hidden = [parameter for parameter in inside if parameter.ndim == 2]
    taken = {id(parameter) for parameter in hidden}
    return hidden, [parameter for parameter in _trained(policy) if id(parameter) not in taken]
