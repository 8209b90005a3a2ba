"""The gate: one call for one question, whatever asks it, and nothing started without need."""

import asyncio
import math

import numpy as np
import pytest

from engine.bound import BoundModel
from engine.calls import Asker, Gate
from engine.errors import ModelError
from engine.ledger import Ledger
from engine.model import Backend, ModelConfig
from engine.request import Answer, Capability, Chat, NextToken, Sampling
from engine.schema import digest
from engine.stop import Stop, Stopped
from engine.wire import decode, encode, render


class Echo(Backend):
    """Answers with what it was asked, counts, and fails when told to."""

    offers = frozenset(Capability)

    def __init__(self, name="echo", fail=False):
        super().__init__(ModelConfig(name="m"))
        self.name, self.fail, self.asked, self.started = name, fail, [], 0

    def identity(self):
        return {"name": self.name}

    @property
    def sampling(self):
        return Sampling(temperature=0.5, max_tokens=9)

    async def start(self):
        self.started += 1

    async def answer(self, request):
        await asyncio.sleep(0)
        self.asked.append(request)
        if self.fail:
            raise ModelError("down", attempts=3)
        if isinstance(request, NextToken):
            return Answer(logprobs={"a": -0.5, "b": float("-inf")}, tokens_in=1)
        return Answer(text=f"re: {request.messages[0]['content']}", tokens_in=2, tokens_out=3, finish_reason="stop")

    async def embed(self, texts):
        self.asked.append(list(texts))
        return np.array([[len(t), 1.0] for t in texts], np.float32)


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path)
    yield ledger
    ledger.close()


def bound(backend, ledger, row_id="r"):
    return BoundModel(Gate(backend, ledger), Asker("s", "node", "b"), row_id)


def ask(text, draw=1, **sampling):
    return lambda model: model.chat([{"role": "user", "content": text}], draw=draw, sampling=Sampling(**sampling))


def run(*asks, model):
    async def scenario():
        return await asyncio.gather(*(a(model) for a in asks), return_exceptions=True)

    return asyncio.run(scenario())


def test_the_same_question_is_asked_once(ledger):
    backend = Echo()
    answers = run(ask("x"), ask("x"), ask("y"), model=bound(backend, ledger))
    assert [a.text for a in answers] == ["re: x", "re: x", "re: y"]
    assert len(backend.asked) == 2
    again = Echo()
    model = bound(again, ledger)
    assert [a.text for a in run(ask("x"), model=model)] == ["re: x"]
    assert (again.asked, again.started) == ([], 0)
    assert len(model.call_ids) == 1


@pytest.mark.parametrize("other", [ask("x", draw=2), ask("x", temperature=0.7), ask("x", stop=("\n",)), ask("z")])
def test_whatever_decides_an_answer_is_in_its_id(ledger, other):
    backend = Echo()
    run(ask("x"), other, model=bound(backend, ledger))
    assert len(backend.asked) == 2


def test_an_id_is_the_digest_of_model_and_question(ledger):
    """Of every home: another one would have every call paid for again."""
    gate = Gate(Echo(), ledger)
    rendered = render(Chat(({"role": "user", "content": "é"},), Sampling(temperature=1.0), 7))
    assert gate.call_id(rendered).hex() == digest("call", gate.identity, rendered, size=16)
    assert gate.call_id(b"{}").hex() == "c04adade7c42691d2b2b841ebf5ad349"


def test_another_model_is_asked_anew(ledger):
    run(ask("x"), model=bound(Echo("one"), ledger))
    other = Echo("two")
    run(ask("x"), model=bound(other, ledger))
    assert len(other.asked) == 1


def test_a_greedy_call_ignores_its_draw(ledger):
    backend = Echo()
    run(ask("x", 1, temperature=0.0), ask("x", 2, temperature=0.0), model=bound(backend, ledger))
    assert [r.draw for r in backend.asked] == [0]


def test_operators_settings_go_over_the_models(ledger):
    backend = Echo()
    run(ask("x", top_p=0.9, max_tokens=5), model=bound(backend, ledger))
    assert backend.asked[0].sampling == Sampling(temperature=0.5, top_p=0.9, max_tokens=5)


def test_a_failure_reaches_all_askers_is_recorded_and_asked_again(ledger):
    failing = Echo(fail=True)
    outcomes = run(ask("x"), ask("x"), model=bound(failing, ledger))
    assert [type(o) for o in outcomes] == [ModelError, ModelError]
    assert len(failing.asked) == 1
    assert [a.text for a in run(ask("x"), model=bound(Echo(), ledger))] == ["re: x"]


def test_a_cancelled_asker_does_not_leave_others_waiting(ledger):
    backend = Echo()

    async def scenario():
        model = bound(backend, ledger)
        first = asyncio.create_task(ask("x")(model))
        second = asyncio.create_task(ask("x")(model))
        await asyncio.sleep(0)
        first.cancel()
        return await asyncio.wait_for(asyncio.gather(first, second, return_exceptions=True), 5)

    first, second = asyncio.run(scenario())
    assert isinstance(first, asyncio.CancelledError)
    assert isinstance(second, ModelError)


def test_next_token_logprobs_survive_the_ledger(ledger):
    async def scenario(backend):
        return await bound(backend, ledger).next_token_logprobs(["a", "b"], prompt="p")

    fresh = asyncio.run(scenario(Echo()))
    known = asyncio.run(scenario(Echo(fail=True)))
    assert fresh == known == {"a": -0.5, "b": float("-inf")}


@pytest.mark.parametrize("value", [0.5, math.nan])
def test_a_value_survives_the_ledger_and_so_does_one_that_is_no_number(value):
    kept = decode(encode(Answer(value=value)), None).value
    assert kept == value or (math.isnan(kept) and math.isnan(value))
    assert decode(encode(Answer(text="a")), None).value is None


def test_only_new_texts_are_embedded(ledger):
    async def scenario(backend, texts):
        return await bound(backend, ledger).embed(texts)

    backend = Echo()
    first = asyncio.run(scenario(backend, ["a", "bbb", "a"]))
    np.testing.assert_array_equal(first, [[1, 1], [3, 1], [1, 1]])
    assert backend.asked == [["a", "bbb"]]
    second = asyncio.run(scenario(backend, ["cc", "bbb"]))
    np.testing.assert_array_equal(second, [[2, 1], [3, 1]])
    assert backend.asked[1:] == [["cc"]]


def test_a_large_embedding_is_recorded_in_steps(ledger):
    """So that a kill half-way keeps the vectors that were there."""
    backend = Echo()
    asyncio.run(bound(backend, ledger).embed([str(i) for i in range(1000)]))
    assert len(backend.asked) > 1
    assert ledger.count() == 1000


def test_rendering_is_stable():
    request = Chat(({"role": "user", "content": "é"},), Sampling(temperature=1.0, stop=("a",)), 7)
    assert render(request).decode() == (
        '{"draw":7,"kind":"chat","messages":[{"content":"é","role":"user"}],"sampling":{"stop":["a"],"temperature":1.0}}'
    )


def test_of_a_refused_list_the_good_texts_are_kept(ledger):
    class Picky(Echo):
        async def embed(self, texts):
            if "bad" in texts:
                raise ModelError("too long", status=400)
            return await super().embed(texts)

    with pytest.raises(ModelError, match="too long"):
        asyncio.run(bound(Picky(), ledger).embed(["a", "bb", "bad", "cc"]))
    assert ledger.count() == 3


def test_a_stop_lets_the_calls_in_flight_end_and_begins_no_other(ledger):
    class Slow(Echo):
        async def answer(self, request):
            await asyncio.sleep(0.05)
            return await super().answer(request)

    async def scenario():
        stop, backend = Stop(), Slow()
        backend.config = ModelConfig(name="m", concurrency=2)
        model = BoundModel(Gate(backend, ledger, stop), Asker("s", "node", "b"), "r")
        asks = [asyncio.create_task(ask(str(i))(model)) for i in range(6)]
        await asyncio.sleep(0.02)
        stop.requested = True
        return await asyncio.gather(*asks, return_exceptions=True)

    outcomes = asyncio.run(scenario())
    assert [type(o) for o in outcomes] == [Answer] * 2 + [Stopped] * 4
    assert ledger.count() == 2
