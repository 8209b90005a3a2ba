"""Calls of thousands of coroutines meet here and become batches for one worker thread.

The thread owns the worker (it loads it, and only it calls it), so the event loop never waits for a forward pass.
What a call means and how a batch runs is the worker's business (`_torch`); nothing here knows torch.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any, Protocol

from engine.errors import ModelError
from engine.request import Answer, Request

LINGER_S = 0.002  # a batch that isn't full runs once no call has come for so long,
PATIENCE_S = 0.02  # or after this, whichever is first

log = logging.getLogger(__name__)


class Item(Protocol):
    """A prepared call. Calls of one class and width can share a batch."""

    @property
    def size(self) -> int:
        """The tokens that it holds in memory when it is done."""
        ...

    @property
    def width(self) -> int:
        """The tokens that it is padded to."""
        ...


class Worker(Protocol):
    """What runs in the thread."""

    def prepare(self, request: Request) -> Item:
        """One call made ready; raises `ModelError` where that can't be done."""
        ...

    def run(self, items: Sequence[Any]) -> Sequence[Answer]:
        """The answers to a batch of one class, in order; raises `MemoryError` where it does not fit."""
        ...


@dataclass(eq=False)
class Job:
    """A call on its way: when it came, what it is, who waits for it."""

    arrival: int
    item: Item
    future: asyncio.Future[Answer]


def plan_batches(jobs: Iterable[Job], budget: int) -> list[list[Job]]:
    """Cut jobs into batches of one class and width; the batch with the oldest job comes first.

    A batch costs its rows times its longest row, at most `budget` (a single job may cost more), and no row is longer
    than twice another. The oldest job is always in the next batch, so none starves.
    """
    kinds: dict[tuple[type, int], list[Job]] = {}
    for job in jobs:
        kinds.setdefault((type(job.item), job.item.width), []).append(job)
    batches = [batch for peers in kinds.values() for batch in _cut(peers, budget)]
    return sorted(batches, key=lambda batch: min(job.arrival for job in batch))


def _cut(jobs: list[Job], budget: int) -> Iterator[list[Job]]:
    batch: list[Job] = []
    for job in sorted(jobs, key=lambda j: j.item.size, reverse=True):
        longest = batch[0].item.size if batch else 0
        if batch and ((len(batch) + 1) * longest > budget or 2 * job.item.size < longest):
            yield batch
            batch = []
        batch.append(job)
    yield batch


class Batcher:
    """A worker in its own thread, fed by `submit`.

    A batch that fails is run again as two halves, down to single calls: out of memory ends where the halves fit, and
    a call that can't be answered fails alone.
    """

    def __init__(self, load: Callable[[], Worker], budget: int) -> None:
        self._load = load
        self._budget = budget
        self._queue: queue.SimpleQueue[tuple[int, Request, asyncio.Future[Answer]] | None] = queue.SimpleQueue()
        self._arrivals = count()
        self._thread: threading.Thread | None = None
        self._open = False

    async def start(self) -> None:
        """Start the thread and load the worker in it; what `load` raises is raised here."""
        self._loop = asyncio.get_running_loop()
        ready: asyncio.Future[Any] = self._loop.create_future()
        # a daemon: a second Ctrl-C must not wait for a forward pass
        self._thread = threading.Thread(target=self._main, args=(ready,), name="setwright-model", daemon=True)
        self._thread.start()
        await ready
        self._open = True

    async def close(self) -> None:
        """End the thread after the batch that it is running; calls that still wait fail."""
        self._open = False
        self._queue.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def submit(self, request: Request) -> asyncio.Future[Answer]:
        """The answer to come. Called in the event loop that `start` ran in."""
        if not self._open:
            raise ModelError("the model is not running")
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._queue.put((next(self._arrivals), request, future))
        return future

    def _main(self, ready: asyncio.Future[Any]) -> None:
        try:
            self._worker = self._load()
        except Exception as e:
            self._settle([(ready, e)])
            return
        self._settle([(ready, None)])
        plan: list[list[Job]] = []
        planned_for = self._budget
        while (arrivals := self._collect(plan)) is not None:
            if arrivals or planned_for != self._budget:
                planned_for = self._budget
                plan = plan_batches(chain(*plan, arrivals), planned_for)
            if plan:
                self._run([job for job in plan.pop(0) if not job.future.cancelled()])
        closed = ModelError("the model was closed before it answered")
        self._settle([(job.future, closed) for job in chain(*plan)])
        del self._worker  # and with it the weights

    def _collect(self, plan: list[list[Job]]) -> list[Job] | None:
        """What has come since; sleeps while there is nothing to do. None once the batcher is closed."""
        arrivals: list[Job] = []
        tokens = sum(job.item.size for job in chain(*plan))
        until = time.monotonic() + PATIENCE_S
        while True:
            full = tokens >= self._budget or time.monotonic() >= until
            try:
                call = self._queue.get(timeout=None if not tokens else 0 if full else LINGER_S)
            except queue.Empty:
                return arrivals
            if call is None:
                plan.append(arrivals)
                return None
            if not tokens:  # the first one ends the sleep
                until = time.monotonic() + PATIENCE_S
            job = self._prepare(*call)
            if job is not None:
                arrivals.append(job)
                tokens += job.item.size

    def _prepare(self, arrival: int, request: Request, future: asyncio.Future[Answer]) -> Job | None:
        try:
            return Job(arrival, self._worker.prepare(request), future)
        except ModelError as e:
            self._settle([(future, e)])
        except Exception as e:  # a tokenizer or a template failed on this call; the others go on
            self._settle([(future, _as_model_error(e))])
        return None

    def _run(self, batch: list[Job]) -> None:
        if not batch:
            return
        error = self._attempt(batch)
        if error is None:
            return
        if len(batch) == 1:
            self._settle([(batch[0].future, error)])
            return
        half = len(batch) // 2
        self._run(batch[:half])
        self._run(batch[half:])

    def _attempt(self, batch: list[Job]) -> ModelError | None:
        """Run a batch; the error instead of raising it, so that its traceback doesn't keep the tensors of the batch."""
        try:
            answers = self._worker.run([job.item for job in batch])
            results = list(zip((job.future for job in batch), answers, strict=True))
        except MemoryError as e:
            self._shrink(batch)
            return ModelError(f"out of memory: {e}", cure="shorten the text, lower max_tokens, or use a larger device")
        except Exception as e:
            return _as_model_error(e)
        self._settle(results)
        return None

    def _shrink(self, batch: Sequence[Job]) -> None:
        """Plan later batches at half of what did not fit."""
        cost = len(batch) * max(job.item.size for job in batch)
        if len(batch) > 1 and cost // 2 < self._budget:
            self._budget = cost // 2
            log.warning("out of memory at %d tokens a batch; going on with %d (max_batch_tokens)", cost, self._budget)

    def _settle(self, results: list[tuple[asyncio.Future[Any], Any]]) -> None:
        # A loop that is gone has taken all who waited with it.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_resolve, results)


def _resolve(results: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in results:
        if future.done():  # cancelled meanwhile
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


def _as_model_error(error: Exception) -> ModelError:
    return ModelError(f"{type(error).__name__}: {error}")
