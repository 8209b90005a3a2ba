"""The gate between operators and a backend: every call is looked up in the ledger, asked once, and recorded.

Two rows that ask the same thing at the same time share one call. A backend is started by the first call that the
ledger can't answer; a build that is answered wholly by the ledger loads no weights and opens no connection.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from engine.errors import ModelError
from engine.fingerprint import fingerprint
from engine.ledger import Call, Ledger
from engine.lobby import Lobby
from engine.model import Backend
from engine.request import (
    Answer,
    Embed,
    Request,
)
from engine.stop import Stop
from engine.wire import decode, encode, render

EMBED_CHUNK = 64
"""Texts that go to a backend as one list and are recorded together: what a kill can cost."""


@dataclass
class Tally:
    """Counts of one node's calls, for progress and the build's record."""

    sent: int = 0
    cached: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0


@dataclass(frozen=True)
class Asker:
    """On whose behalf a call is made; only for the record, never part of its identity."""

    spec: str
    node: str
    build: str
    tally: Tally = field(default_factory=Tally, compare=False)
    to_the_end: bool = False  # its calls are sent even when the build was asked to stop: what asks must end by itself


class _Asked(NamedTuple):
    """A call before it is answered."""

    id: bytes
    rendered: bytes
    kind: str
    asker: Asker
    row_id: str | None


class Gate:
    """A backend behind the ledger. One for each model node of a build."""

    def __init__(self, backend: Backend, ledger: Ledger, stop: Stop | None = None) -> None:
        self.backend = backend
        self._stop = stop or Stop()
        self._lobby = Lobby(ledger, backend.config.concurrency)
        self.ledger = ledger
        self.identity = fingerprint(backend.identity())
        self.name = str(backend.identity().get("name", backend.config.name))
        self.sampling = backend.sampling
        self._before = b"4:call%d:%b" % (len(self.identity), self.identity.encode())
        self._pending: dict[bytes, asyncio.Future[Answer]] = {}
        self._starting: asyncio.Task[None] | None = None
        self._started = False

    async def ask(self, request: Request, asker: Asker, row_id: str | None) -> tuple[bytes, Answer]:
        """The answer to one request (any kind but embed), and the call's id.

        Raises:
            ModelError: the backend gave up; the failure is in the ledger, and the next build asks again.
        """
        rendered = render(request)
        id_ = self.call_id(rendered)
        if id_ in self._pending:
            asker.tally.cached += 1
            return id_, await asyncio.shield(self._pending[id_])
        pending = self._pending[id_] = asyncio.get_running_loop().create_future()
        try:
            found = await self._lobby.enter(id_)
            if found is None:
                answer = await self._send(request, _Asked(id_, rendered, request.kind, asker, row_id))
            else:
                asker.tally.cached += 1
                answer = decode(*found)
        except BaseException as e:
            _fail(pending, e)
            raise
        finally:
            del self._pending[id_]
        pending.set_result(answer)
        return id_, answer

    async def embed(self, texts: Sequence[str], asker: Asker) -> np.ndarray:
        """float32 vectors of all texts; only texts never embedded before go to the backend."""
        if not self.backend.recorded:
            await self._start()
            return await self.backend.embed(texts)
        ids = [self.call_id(render(Embed(text))) for text in texts]
        known = {i: np.frombuffer(v, np.float32) for i, (_, v) in self.ledger.find(set(ids)).items() if v is not None}
        missing = {i: text for i, text in zip(ids, texts, strict=True) if i not in known}
        asker.tally.cached += len(texts) - len(missing)
        items = list(missing.items())
        known |= await self._embed_all(
            [dict(items[i : i + EMBED_CHUNK]) for i in range(0, len(items), EMBED_CHUNK)], asker
        )
        return (
            np.stack([known[i] for i in ids]) if ids else np.zeros((0, self.backend.embedding_dim() or 0), np.float32)
        )

    def call_id(self, rendered: bytes) -> bytes:
        """The id of a call, from its model's identity and all that is asked: `digest("call", identity, rendered)`."""
        return hashlib.blake2b(b"%b%d:%b" % (self._before, len(rendered), rendered), digest_size=16).digest()

    async def close(self) -> None:
        """Close the backend if it was started."""
        if self._starting is not None and not self._starting.cancelled() and self._starting.exception() is None:
            await self.backend.close()

    async def _start(self) -> None:
        if self._starting is None:
            self._starting = asyncio.create_task(self.backend.start())
        await asyncio.shield(self._starting)
        self._started = True

    async def _send(self, request: Request, asked: _Asked) -> Answer:
        """The backend's answer, in the slot that the call holds, recorded."""
        asker = asked.asker
        began = time.perf_counter()
        try:
            try:
                if not asker.to_the_end:  # those who wait for a slot are not in flight: a stop turns them away
                    self._stop.check(asker.node)
                if not self._started:
                    await self._start()
                    began = time.perf_counter()  # how long the call took, not how long it waited for weights
                answer = await self.backend.answer(request)
            finally:
                self._lobby.leave()
        except ModelError as e:
            asker.tally.failed += 1
            await self.ledger.record([self._failed(asked, began, e)])
            raise
        tally = asker.tally
        tally.sent += 1
        tally.tokens_in += answer.tokens_in or 0
        tally.tokens_out += answer.tokens_out or 0
        await self.ledger.record([self._answered(asked, began, answer)])
        return answer

    async def _embed_all(self, chunks: Sequence[Mapping[bytes, str]], asker: Asker) -> dict[bytes, np.ndarray]:
        """Embed several lists; one that fails costs the others nothing, and is raised when all are done."""
        tasks = [self._embed_missing(chunk, asker) for chunk in chunks]
        vectors: dict[bytes, np.ndarray] = {}
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
            vectors |= outcome
        return vectors

    async def _embed_missing(self, missing: Mapping[bytes, str], asker: Asker) -> dict[bytes, np.ndarray]:
        """Embed and record; of a list that is refused, the good texts all the same."""
        began = time.perf_counter()
        self._stop.check(asker.node)
        await self._start()
        try:
            vectors = np.asarray(await self.backend.embed(list(missing.values())), np.float32)
        except ModelError as e:
            if not e.refused or len(missing) == 1:
                raise
            items = list(missing.items())
            halves = (dict(items[: len(items) // 2]), dict(items[len(items) // 2 :]))
            return await self._embed_all(halves, asker)
        asker.tally.sent += len(missing)
        asked = [_Asked(i, render(Embed(text)), Embed.kind, asker, None) for i, text in missing.items()]
        await self.ledger.record(
            [self._answered(one, began, Answer(vector=v)) for one, v in zip(asked, vectors, strict=True)]
        )
        return dict(zip(missing, vectors, strict=True))

    def _answered(self, asked: _Asked, began: float, answer: Answer) -> Call:
        vector = None if answer.vector is None else np.asarray(answer.vector, np.float32).tobytes()
        return self._call(
            asked, began, encode(answer), vector, None, answer.tokens_in, answer.tokens_out, answer.attempts
        )

    def _failed(self, asked: _Asked, began: float, error: ModelError) -> Call:
        return self._call(asked, began, None, None, error.message, None, None, error.attempts)

    def _call(
        self, asked: _Asked, began: float, response: str | None, vector: bytes | None, error: str | None,
        tokens_in: int | None, tokens_out: int | None, attempts: int,
    ) -> Call:  # fmt: skip
        id_, rendered, kind, asker, row_id = asked
        return Call(
            id_, self.name, kind, rendered.decode(), response, vector, error, tokens_in, tokens_out,
            time.perf_counter() - began, None, attempts, asker.spec, asker.node, row_id, asker.build,
        )  # fmt: skip


def _fail(future: asyncio.Future[Answer], error: BaseException) -> None:
    """Hand a failure to those who wait for the same call; a cancelled asker must not cancel them for ever."""
    shown = error if isinstance(error, Exception) else ModelError("the call was interrupted")
    future.set_exception(shown)
    future.exception()  # seen: nobody may be waiting
