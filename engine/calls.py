"""The gate between operators and a backend: every call is looked up in the ledger, asked once, and recorded.

Two rows that ask the same thing at the same time share one call. A backend is started by the first call that the
ledger can't answer; a build that is answered wholly by the ledger loads no weights and opens no connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.errors import ModelError
from engine.fingerprint import fingerprint
from engine.ledger import Call, Ledger
from engine.model import Backend
from engine.request import (
    Answer,
    Embed,
    Request,
)
from engine.schema import digest
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


class Gate:
    """A backend behind the ledger. One for each model node of a build."""

    def __init__(self, backend: Backend, ledger: Ledger, stop: Stop | None = None) -> None:
        self.backend = backend
        self._stop = stop or Stop()
        self._slots = asyncio.Semaphore(backend.config.concurrency)
        self.ledger = ledger
        self.identity = fingerprint(backend.identity())
        self._name = str(backend.identity().get("name", backend.config.name))
        self.sampling = backend.sampling
        self._pending: dict[bytes, asyncio.Future[Answer]] = {}
        self._starting: asyncio.Task[None] | None = None

    async def ask(self, request: Request, asker: Asker, row_id: str | None) -> tuple[bytes, Answer]:
        """The answer to one request (any kind but embed), and the call's id.

        Raises:
            ModelError: the backend gave up; the failure is in the ledger, and the next build asks again.
        """
        rendered = render(request)
        id_ = self.call_id(rendered)
        found = self.ledger.find((id_,))
        if found:
            asker.tally.cached += 1
            return id_, decode(*found[id_])
        if id_ in self._pending:
            asker.tally.cached += 1
            return id_, await asyncio.shield(self._pending[id_])
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._pending[id_] = future
        try:
            answer = await self._send(request, id_, rendered, asker, row_id)
        except BaseException as e:
            _fail(future, e)
            raise
        else:
            future.set_result(answer)
        finally:
            del self._pending[id_]
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
        """The id of a call: its model's identity and all that is asked."""
        return bytes.fromhex(digest("call", self.identity, rendered, size=16))

    async def close(self) -> None:
        """Close the backend if it was started."""
        if self._starting is not None and not self._starting.cancelled() and self._starting.exception() is None:
            await self.backend.close()

    async def _start(self) -> None:
        if self._starting is None:
            self._starting = asyncio.create_task(self.backend.start())
        await asyncio.shield(self._starting)

    async def _send(self, request: Request, id_: bytes, rendered: bytes, asker: Asker, row_id: str | None) -> Answer:
        began = time.perf_counter()
        try:
            async with self._slots:  # those who wait here are not in flight: a stop turns them away
                if not asker.to_the_end:
                    self._stop.check(asker.node)
                await self._start()
                began = time.perf_counter()  # how long the call took, not how long it waited for a slot or for weights
                answer = await self.backend.answer(request)
        except ModelError as e:
            asker.tally.failed += 1
            await self.ledger.record([self._call(id_, rendered, request.kind, began, asker, row_id, error=e)])
            raise
        tally = asker.tally
        tally.sent += 1
        tally.tokens_in += answer.tokens_in or 0
        tally.tokens_out += answer.tokens_out or 0
        await self.ledger.record([self._call(id_, rendered, request.kind, began, asker, row_id, answer=answer)])
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
        answers = {i: Answer(vector=v) for i, v in zip(missing, vectors, strict=True)}
        await self.ledger.record(
            self._call(i, render(Embed(missing[i])), Embed.kind, began, asker, None, answer=a)
            for i, a in answers.items()
        )
        return dict(zip(missing, vectors, strict=True))

    def _call(
        self, id_: bytes, rendered: bytes, kind: str, began: float, asker: Asker, row_id: str | None,
        *, answer: Answer | None = None, error: ModelError | None = None,
    ) -> Call:  # fmt: skip
        vector = None if answer is None or answer.vector is None else np.asarray(answer.vector, np.float32).tobytes()
        return Call(
            id=id_, model=self._name, kind=str(kind), request=rendered.decode(),
            response=None if answer is None else encode(answer), vector=vector,
            error=None if error is None else error.message,
            tokens_in=answer.tokens_in if answer else None, tokens_out=answer.tokens_out if answer else None,
            latency_s=time.perf_counter() - began, cost=None,
            attempts=answer.attempts if answer else error.attempts if error else 1,
            spec=asker.spec, node=asker.node, row_id=row_id, build=asker.build,
        )  # fmt: skip


def _fail(future: asyncio.Future[Answer], error: BaseException) -> None:
    """Hand a failure to those who wait for the same call; a cancelled asker must not cancel them for ever."""
    shown = error if isinstance(error, Exception) else ModelError("the call was interrupted")
    future.set_exception(shown)
    future.exception()  # seen: nobody may be waiting
