"""Runs the `transformers` backend on the folder of a checkpoint for a test, in an event loop of its own."""

from __future__ import annotations

import asyncio

from backend_life import run

from engine.model import ModelConfig
from engine.models.transformers import TransformersBackend, TransformersParams

TEXTS = (
    "Name the three primary colours.",
    "What is 12 + 30?",
    "a",
    "Write a short poem about the sea; the sea is wide and the night is long. " * 4,
    "Please score the quality of this response: ",
)
CHATS = tuple(({"role": "user", "content": text},) for text in TEXTS)


def make(folder, **params):
    """The backend, not started."""
    return TransformersBackend(
        ModelConfig("tiny", model=str(folder), params=TransformersParams(device="cpu", **params))
    )


def ask(folder, requests, *, crowd=True, **params):
    """The answers (or errors) to requests, all at once or one by one."""

    async def work(model):
        calls = [model.answer(request) for request in requests]
        if crowd:
            return await asyncio.gather(*calls, return_exceptions=True)
        return [(await asyncio.gather(call, return_exceptions=True))[0] for call in calls]

    return run(make(folder, **params), work)


def embed(folder, texts, **params):
    """The vectors of texts."""
    return run(make(folder, **params), lambda model: model.embed(texts))
