"""The batcher with a real thread: batches, fairness, failures that stay with their call, and its end."""

from __future__ import annotations

import asyncio
import random
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain

import pytest

from engine.errors import ModelError, SetwrightError
from engine.models._batcher import Batcher, Job, plan_batches
from engine.request import Answer, Generate, LogLikelihood


@dataclass(frozen=True)
class Sized:
    text: str

    @property
    def size(self) -> int:
        return len(self.text)

    @property
    def width(self) -> int:
        return 8


class Other(Sized):
    pass


class Echo:
    """Answers with the text and has room for so many padded letters.

    A text with `!` can't be prepared, one with `?` can't be run. The first batch is held until `gate` is set.
    """

    def __init__(self, room: int = 10**9) -> None:
        self.room = room
        self.batches: list[list[str]] = []
        self.entered, self.gate = threading.Event(), threading.Event()

    def prepare(self, request):
        if "!" in request.prompt:
            raise ModelError("no such text")
        return Sized(request.prompt)

    def run(self, items):
        self.entered.set()
        assert self.gate.wait(10)
        self.batches.append([item.text for item in items])
        if len(items) * max(item.size for item in items) > self.room:
            raise MemoryError("too much")
        if any("?" in item.text for item in items):
            raise ValueError("a question")
        return [Answer(text=item.text) for item in items]


@asynccontextmanager
async def busy(worker, budget=10**6):
    """A batcher whose thread is held in a first batch, so that what is submitted now is planned together."""
    batcher = Batcher(lambda: worker, budget)
    await batcher.start()
    first = batcher.submit(Generate("-"))
    await asyncio.to_thread(worker.entered.wait)
    try:
        yield batcher
        await first
    finally:
        worker.gate.set()
        await batcher.close()


def ask(worker, texts):
    async def main():
        async with busy(worker) as batcher:
            calls = [batcher.submit(Generate(t)) for t in texts]
            worker.gate.set()
            return await asyncio.gather(*calls, return_exceptions=True)

    return asyncio.run(main())


def jobs_of(sizes, kind=Sized, first=0):
    return [Job(first + i, kind("x" * size), None) for i, size in enumerate(sizes)]


def test_plan_holds_the_budget_and_the_padding_and_loses_nothing():
    rng = random.Random(1)
    jobs = jobs_of([rng.randint(1, 300) for _ in range(500)]) + jobs_of(
        [rng.randint(1, 300) for _ in range(99)], Other, 500
    )
    rng.shuffle(jobs)
    plan = plan_batches(jobs, 2000)
    assert sorted(j.arrival for j in chain(*plan)) == list(range(599))
    for batch in plan:
        sizes = [j.item.size for j in batch]
        assert len(batch) == 1 or len(batch) * max(sizes) <= 2000
        assert 2 * min(sizes) >= max(sizes)
        assert len({type(j.item) for j in batch}) == 1
    oldest = [min(j.arrival for j in batch) for batch in plan]
    assert oldest == sorted(oldest)
    assert oldest[0] == 0


def test_plan_gives_a_job_over_the_budget_a_batch_of_its_own():
    plan = plan_batches(jobs_of([50, 60, 500]), 200)
    assert [[j.item.size for j in batch] for batch in plan] == [[60, 50], [500]]


def test_calls_that_wait_together_share_a_batch():
    worker = Echo()
    texts = [f"{i:04d}" for i in range(500)]
    assert [a.text for a in ask(worker, texts)] == texts
    assert worker.batches == [["-"], texts]


def test_a_batch_that_does_not_fit_is_halved_until_it_does(caplog):
    worker = Echo(room=100)
    texts = ["x" * 10 + str(i % 10) for i in range(64)]
    assert [a.text for a in ask(worker, texts)] == texts
    assert [len(b) for b in worker.batches] == [1, 64, *[32, *[16, 8, 8] * 2] * 2]
    assert "out of memory at 704 tokens a batch; going on with 352" in caplog.text


def test_after_running_out_of_memory_later_batches_are_planned_smaller():
    worker = Echo(room=100)
    ask(worker, ["x" * 10] * 16 + ["y" * 30] * 16)  # the second half differs in length: a batch of its own
    sizes = [(len(b), len(b[0])) for b in worker.batches]
    assert sizes[1:4] == [(16, 10), (8, 10), (8, 10)]
    assert sizes[4] == (2, 30), "planned for 80 letters, not for the million of the start"


def test_a_single_call_out_of_memory_says_so():
    (error,) = ask(Echo(room=5), ["x" * 10])
    assert isinstance(error, ModelError)
    assert "out of memory" in str(error)
    assert error.cure


def test_a_call_that_can_not_be_answered_fails_alone():
    worker = Echo()
    answers = ask(worker, ["aaaa", "b?bb", "c!cc", *["dddd"] * 30])
    assert [a.text for a in answers if isinstance(a, Answer)] == ["aaaa", *["dddd"] * 30]
    assert str(answers[1]) == "ValueError: a question"
    assert str(answers[2]) == "no such text"


def test_a_preparation_that_crashes_fails_its_call_alone():
    async def main():
        worker = Echo()
        async with busy(worker) as batcher:
            calls = [batcher.submit(LogLikelihood("a", "b")), batcher.submit(Generate("fine"))]  # Echo reads `prompt`
            worker.gate.set()
            return await asyncio.gather(*calls, return_exceptions=True)

    broken, fine = asyncio.run(main())
    assert isinstance(broken, ModelError)
    assert fine.text == "fine"


def test_the_oldest_call_is_not_overtaken_for_ever():
    """A lone long call among short ones, which keep coming as fast as they are answered."""

    async def main():
        worker = Echo()
        async with busy(worker, budget=100) as batcher:
            worker.gate.set()
            over = asyncio.Event()

            async def chatter():
                while not over.is_set():
                    await batcher.submit(Generate("x" * 10))

            others = [asyncio.create_task(chatter()) for _ in range(50)]
            await asyncio.sleep(0.01)
            answer = await asyncio.wait_for(batcher.submit(Generate("y" * 100)), 10)
            over.set()
            await asyncio.gather(*others)
            return answer.text

    assert asyncio.run(main()) == "y" * 100


def test_a_cancelled_call_is_not_run():
    async def main():
        async with busy(worker) as batcher:
            gone, kept = batcher.submit(Generate("gone")), batcher.submit(Generate("kept"))
            gone.cancel()
            worker.gate.set()
            await kept

    worker = Echo()
    asyncio.run(main())
    assert worker.batches == [["-"], ["kept"]]


def test_closing_ends_the_thread_and_what_still_waits():
    async def main():
        async with busy(worker) as batcher:
            waiting = batcher.submit(Generate("waiting"))
            closing = asyncio.create_task(batcher.close())
            await asyncio.sleep(0)
            with pytest.raises(ModelError, match="not running"):
                batcher.submit(Generate("too late"))
            worker.gate.set()
            await closing
            assert not any(t.name == "setwright-model" for t in threading.enumerate())
            return await asyncio.gather(waiting, return_exceptions=True)

    worker = Echo()
    (waited,) = asyncio.run(main())
    assert "closed" in str(waited)
    assert worker.batches == [["-"]], "the batch that ran was finished and answered"


def test_what_loading_raises_is_raised_by_start():
    def load():
        raise SetwrightError("no weights here", cure="bring some")

    async def main():
        await Batcher(load, 10).start()

    with pytest.raises(SetwrightError, match="no weights here"):
        asyncio.run(main())
