"""The policy as it was before its first step, to measure how far it has moved."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator

from trainers.model.policy import Policy


class Reference:
    """Made before any checkpoint is loaded. Adapters are switched off; without them it is a frozen copy."""

    def __init__(self, policy: Policy) -> None:
        self._adapted = policy.model if policy.causal is not policy.model else None
        self._frozen = policy if self._adapted is not None else copy.deepcopy(policy).requires_grad_(False).eval()

    @contextlib.contextmanager
    def policy(self) -> Iterator[Policy]:
        """The reference, as a policy, for as long as this lasts."""
        with self._adapted.disable_adapter() if self._adapted is not None else contextlib.nullcontext():
            yield self._frozen
