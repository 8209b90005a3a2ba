"""Trained models as the steps that ask them see them: the backend of the base, over the weights in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from engine.model import Backend, ModelConfig, Weights
from engine.registry import backend
from engine.request import Answer, Message, Request, Sampling
from engine.spec.nodes import Spec
from engine.store import Store


def root_of(spec: Spec, name: str) -> str:
    """The model that the training of `name`, and of its base, and so on, began with."""
    while name in spec.trained:
        name = spec.trained[name].base
    return name


def serve(name: str, root: Backend, store: Store, fingerprint: str) -> Backend:
    """The backend of a trained model.

    Args:
        name: the model's name in the spec.
        root: the backend of the model that its training began with; its params hold for the trained model.
        store: where the model's folder is, or will be.
        fingerprint: the identity of the training.
    """
    folder = str(store.model(fingerprint).resolve())
    return Trained(root, fingerprint, replace(root.config, name=name, model=folder, revision=None))


class Trained(Backend):
    """Answers by the trained weights. Its identity is the training's, whether the weights are there yet or not.

    A root that takes a `model` is pointed at the folder; of one that has its own weights, transformers takes the place.
    """

    def __init__(self, root: Backend, fingerprint: str, config: ModelConfig) -> None:
        super().__init__(config)
        movable = "model" in root.requires | root.accepts
        self._root, self._fingerprint = root, fingerprint
        self._server = (type(root) if movable else backend("transformers"))(config)

    def identity(self) -> dict[str, Any]:
        """The training, and what of the root's identity says how it answers."""
        return {"trained": self._fingerprint, "served": self._root.identity()}

    @property
    def sampling(self) -> Sampling:
        """That of the root."""
        return self._root.sampling

    def weights(self) -> Weights:
        """The folder; its tokenizer has the template that it was trained with."""
        return Weights(str(self.config.model))

    def embedding_dim(self) -> int | None:
        """That of the root."""
        return self._root.embedding_dim()

    async def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> str:
        """See `Backend.render`."""
        return await self._server.render(messages, add_generation_prompt=add_generation_prompt)

    async def start(self) -> None:
        """See `Backend.start`."""
        await self._server.start()

    async def close(self) -> None:
        """See `Backend.close`."""
        await self._server.close()

    async def answer(self, request: Request) -> Answer:
        """See `Backend.answer`."""
        return await self._server.answer(request)

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """See `Backend.embed`."""
        return await self._server.embed(texts)
