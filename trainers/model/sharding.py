"""One copy of weights, gradients and optimiser states over all processes, instead of one in each: FSDP.

By torch's `fully_shard` (FSDP2): a layer's weights come together when it runs. What is sharded is so for the loop and
its checkpoints alone; policies and objectives call the model as ever.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from trainers.model.policy import Policy


def shard(policy: Policy, device: torch.device) -> Policy:
    """Split the policy's weights over all processes, layer by layer; the outermost call is `Policy.forward`."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    for layers in (module for module in policy.decoder.modules() if isinstance(module, nn.ModuleList)):
        for layer in layers:
            fully_shard(layer, mesh=mesh)
        break  # the outermost list holds the layers
    fully_shard(policy, mesh=mesh)
    return policy


def is_sharded(policy: nn.Module) -> bool:
    """Whether `shard` was called on it."""
    return any(isinstance(parameter, DTensor) for parameter in policy.parameters())


@contextlib.contextmanager
def gathered_later(policy: Any) -> Iterator[None]:
    """Within this, backward passes add up gradients without exchanging them between processes."""
    policy.set_requires_gradient_sync(False)
    try:
        yield
    finally:
        policy.set_requires_gradient_sync(True)


def whole(value: Any) -> Any:
    """`value`, a tensor or a structure of them, with tensors as they are unsharded; all processes must ask for it."""
    if isinstance(value, DTensor):
        plain: Any = value.detach()
        return plain.full_tensor()
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, list) else value


def spread(value: Tensor, like: Tensor) -> Tensor:
    """A whole tensor as this process' share of it, where `like` is sharded; else the tensor."""
    if not isinstance(like, DTensor) or value.shape != like.shape:
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
