"""A backend `use: openai` that talks to a fake server, for the tests of the backend and of its HTTP client."""

from __future__ import annotations

import asyncio

from backend_life import run
from pydantic import SecretStr

from engine.model import ModelConfig
from engine.models.openai import OpenAI, OpenAIParams
from engine.request import Chat, Sampling

KEY = "my-own-key-42"
HOT = Sampling(temperature=0.7, max_tokens=5)


def backend(url, *, model="m", concurrency=64, key=KEY, **params):
    secret = None if key is None else SecretStr(key)
    config = ModelConfig("teacher", model, None, url, secret, OpenAIParams(**params), concurrency)
    return OpenAI(config)


def ask(model, *requests):
    return run(model, lambda m: asyncio.gather(*(m.answer(r) for r in requests)))


def chat(text, sampling=HOT, draw=1):
    return Chat(({"role": "user", "content": text},), sampling, draw)
