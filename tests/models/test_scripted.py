import asyncio
import math

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from engine.errors import ModelError
from engine.model import ModelConfig
from engine.models import scripted
from engine.models.scripted import Scripted, ScriptedParams
from engine.request import Capability, Chat, Embed, Generate, LogLikelihood, NextToken, Reward, Sampling


def model(**params):
    return Scripted(ModelConfig("judge", params=ScriptedParams(**params)))


def ask(backend, request):
    return asyncio.run(backend.answer(request))


def chat(text, draw=0):
    return Chat(({"role": "system", "content": "Rate the"}, {"role": "user", "content": text}), draw=draw)


def outcomes(backend, requests):
    """Attempts of the calls that were answered, the error of those that weren't."""

    async def main():
        return await asyncio.gather(*(backend.answer(r) for r in requests), return_exceptions=True)

    return [a.attempts if not isinstance(a, Exception) else str(a) for a in asyncio.run(main())]


def test_the_example_of_the_docstring():
    text = scripted.__doc__.split("\n\n")[1]
    params = yaml.safe_load(text)["judge"]["params"]
    judge = model(**params)
    assert ask(judge, chat("What is the Capital of France?")).text == "Paris"
    assert ask(judge, chat("Rate the answer", draw=3)).text == "5"
    assert ask(judge, chat("hello", draw=7)).text == "You said: hello (draw 7)"
    assert ask(judge, NextToken(("Yes", "No", "Maybe"), prompt="Yes or no?")).logprobs == {
        "Yes": -0.1, "No": -2.4, "Maybe": -math.inf,
    }  # fmt: skip
    with pytest.raises(ModelError, match="no answer in time") as e:
        ask(judge, chat("poison"))
    assert e.value.attempts == 8


def test_the_first_rule_that_matches_and_has_the_field_answers():
    rules = [
        {"match": "^x", "value": 1.5},
        {"match": "x", "reply": "first", "finish_reason": "length"},
        {"reply": "last"},
    ]
    backend = model(replies=rules)
    assert ask(backend, chat("x")).text == "first"
    assert ask(backend, chat("x")).finish_reason == "length"
    assert ask(backend, Generate("y")).text == "last"
    assert ask(backend, Reward(({"role": "assistant", "content": "x"},))).value == 1.5


def test_the_last_user_message_is_what_is_matched():
    turns = [{"role": r, "content": c} for r, c in (("user", "one"), ("assistant", "two"), ("user", "three"))]
    backend = model(replies=[{"match": "one|two", "reply": "wrong"}], default="{last_user} of {n}")
    assert ask(backend, Chat(tuple(turns))).text == "three of 3"


def test_braces_of_a_reply_are_kept_and_placeholders_are_filled_once():
    backend = model(replies=[{"match": "json", "reply": '{"score": 4, "draw": {draw}}'}], default="{last_user}")
    assert ask(backend, chat("json", draw=2)).text == '{"score": 4, "draw": 2}'
    assert ask(backend, chat("{draw} {n}")).text == "{draw} {n}"


def test_several_replies_are_chosen_by_the_draw():
    backend = model(replies=[{"reply": ["a", "b", "c"]}])
    assert [ask(backend, chat("x", draw=d)).text for d in (0, 1, 2, 3, 2**63 - 1)] == ["a", "b", "c", "a", "b"]


def test_a_call_that_no_rule_answers_is_an_error():
    with pytest.raises(ModelError, match="judge: no reply in the script for: hello") as e:
        ask(model(replies=[{"match": "x", "reply": "y"}]), chat("hello"))
    assert "default" in e.value.cure


def test_every_kind_of_call_has_a_made_up_answer_that_depends_on_the_request_alone():
    requests = [
        LogLikelihood("a", " b c"), LogLikelihood("a", " b d"), NextToken(("A", "B"), prompt="x"),
        Reward(({"role": "assistant", "content": "x"},)), Embed("x"), Embed("y"),
    ]  # fmt: skip
    first, second = ([ask(model(), r) for r in order] for order in (requests, requests[::-1]))
    for a, b in zip(first, second[::-1], strict=True):
        assert (a.value, a.logprobs, a.tokens_out) == (b.value, b.logprobs, b.tokens_out)
        assert np.array_equal(a.vector, b.vector)
    assert first[0].value < 0
    assert first[0].value != first[1].value
    assert first[0].tokens_out == 2
    assert sum(math.exp(p) for p in first[2].logprobs.values()) == pytest.approx(1)
    assert Scripted.offers == frozenset(Capability)


def test_embeddings_are_scripted_or_made_up():
    backend = model(replies=[{"match": "^x$", "vector": [1.0, 2.0, 3.0]}], dim=3)
    vectors = asyncio.run(backend.embed(["x", "y", "z", "y"]))
    assert vectors.dtype == np.float32
    assert vectors[0].tolist() == [1, 2, 3]
    assert np.array_equal(vectors[1], vectors[3])
    assert not np.array_equal(vectors[1], vectors[2])
    assert asyncio.run(backend.embed([])).shape == (0, 3)
    assert backend.embedding_dim() == 3


@pytest.mark.parametrize(
    ("kind", "status"), [(429, 429), (500, 500), ("timeout", None), ("cut", None), ("broken_json", None)]
)
def test_a_fault_is_got_over_or_ends_the_call(kind, status):
    fault = {"kind": kind, "match": "bad"}
    assert ask(model(default="ok", faults=[{**fault, "times": 3}]), chat("bad")).attempts == 4
    assert ask(model(default="ok", faults=[{**fault, "times": 3}]), chat("good")).attempts == 1
    for times in (8, "always"):
        with pytest.raises(ModelError, match=r"judge: .*injected") as e:
            ask(model(default="ok", faults=[{**fault, "times": times}]), chat("bad"))
        assert (e.value.status, e.value.attempts) == (status, 8)


def test_one_call_in_every_n_fails_whatever_the_order():
    requests = [chat(f"{i}", draw=i) for i in range(400)]
    backend = model(default="ok", faults=[{"kind": 500, "every": 4}])
    attempts = outcomes(backend, requests)
    assert attempts == outcomes(backend, requests[::-1])[::-1]
    assert set(attempts) == {1, 2}
    assert 70 <= attempts.count(2) <= 130  # 100 expected, deviation 9


def test_the_first_fault_that_selects_a_call_is_the_one():
    faults = [{"kind": 429, "match": "a", "times": 2}, {"kind": "cut", "times": "always"}]
    backend = model(default="ok", faults=faults)
    assert outcomes(backend, [chat("a"), chat("b")]) == [3, "judge: injected: connection lost"]


def test_the_identity_is_the_script_without_faults_and_latency():
    plain = model(default="ok").identity()
    assert model(default="ok", latency_ms=5, faults=[{"kind": 429}]).identity() == plain
    assert model(default="no").identity() != plain
    assert model(default="ok", replies=[{"reply": "x"}]).identity() != plain
    assert model(default="ok", dim=4).identity() != plain


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"replies": [{"match": "("}]}, "not a regular expression"),
        ({"replies": [{"reply": []}]}, "at least 1"),
        ({"replies": [{"vector": [1.0]}]}, r"replies\[0\].vector has 1 numbers, dim is 8"),
        ({"faults": [{"kind": 404}]}, "kind"),
        ({"faults": [{"kind": 429, "every": 0}]}, "every"),
        ({"faults": [{"kind": 429, "times": "ever"}]}, "times"),
        ({"reply": "x"}, "reply"),
    ],
)
def test_a_wrong_script_is_refused(params, message):
    with pytest.raises(ValidationError, match=message):
        ScriptedParams(**params)


def test_greedy_calls_get_the_first_reply():
    backend = model(replies=[{"reply": ["a", "b"]}])
    assert ask(backend, Chat(({"role": "user", "content": "x"},), Sampling(temperature=0), 0)).text == "a"
