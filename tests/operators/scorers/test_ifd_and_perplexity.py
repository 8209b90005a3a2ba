"""`score: ifd` and `score: perplexity` against plain forward passes of torch."""

from __future__ import annotations

import asyncio
import math

import pytest
from backend_life import run
from operators.direct import Direct
from operators.fakes import FakeContext
from tiny_backend import make
from tiny_model import BEGIN, build_tiny_model

from engine.errors import RowError
from engine.registry import operator
from engine.request import Answer, LogLikelihood

torch = pytest.importorskip("torch", reason="needs the extra `train`")
transformers = pytest.importorskip("transformers", reason="needs the extra `train`")

ANSWER = "Red, blue and yellow."
TALK = [{"role": "user", "content": "Name three colours."}, {"role": "assistant", "content": ANSWER}]
MORE = [*TALK, {"role": "user", "content": "And 7 + 8?"}, {"role": "assistant", "content": "It is 15."}]


class Reader(Direct):
    """Raw log-likelihood, too."""

    async def loglikelihood(self, context, continuation):
        return await self.backend.answer(LogLikelihood(context, continuation))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.set_num_threads(1)
    return build_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def scored(folder, name, *rows, **params):
    """What a scorer makes of rows, or the errors."""
    op = operator("score", name)

    async def work(backend):
        context, given = FakeContext(17, Reader(backend)), op.params(**params)
        return await asyncio.gather(*(op.fn(row, given, context) for row in rows), return_exceptions=True)

    return run(make(folder, dtype="float32"), work)


def nlls(folder, before, text):
    """The negative log-likelihood of each token of `text` after `before`, by one forward pass."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).requires_grad_(False)
    head, tail = (tokenizer(part)["input_ids"] for part in (before, text))
    ids = [*(head or [BEGIN]), *tail]
    logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    return [-float(logprobs[i - 1, ids[i]]) for i in range(len(ids) - len(tail), len(ids))]


def mean(values):
    return sum(values) / len(values)


def test_ifd_is_the_quotient_of_both_perplexities(folder):
    (found,) = scored(folder, "ifd", {"messages": TALK})
    given = nlls(folder, "<|begin|><|user|>Name three colours.<|end|><|assistant|>", f"{ANSWER}<|end|>")
    alone = nlls(folder, "<|begin|><|user|><|end|><|assistant|>", f"{ANSWER}<|end|>")
    assert found["ifd"] == pytest.approx(math.exp(mean(given)) / math.exp(mean(alone)), rel=1e-4)
    assert found["ifd"] != pytest.approx(1, abs=1e-3), "an instruction that changes nothing tests nothing"
    assert (found["ifd_nll_given"], found["ifd_nll_alone"]) == pytest.approx((mean(given), mean(alone)), rel=1e-4)
    assert found["ifd_tokens_given"] == found["ifd_tokens_alone"] == len(given)


def test_ifd_of_a_conversation_is_that_of_its_last_answer(folder):
    (found,) = scored(folder, "ifd", {"messages": MORE})
    before = f"<|begin|><|user|>Name three colours.<|end|><|assistant|>{ANSWER}<|end|><|user|>And 7 + 8?<|end|>"
    given = nlls(folder, f"{before}<|assistant|>", "It is 15.<|end|>")
    assert found["ifd_nll_given"] == pytest.approx(mean(given), rel=1e-4)


def test_perplexity_of_a_text_is_raw(folder):
    (found,) = scored(folder, "perplexity", {"text": "The sea is wide."})
    by_hand = nlls(folder, "", "The sea is wide.")
    assert found["perplexity"] == pytest.approx(math.exp(mean(by_hand)), rel=1e-4)
    assert (found["nll_mean"], found["n_tokens"]) == (pytest.approx(mean(by_hand), rel=1e-4), len(by_hand))


def test_perplexity_of_answers_is_over_the_tokens_of_all_of_them(folder):
    (found,) = scored(folder, "perplexity", {"messages": MORE}, of="answers")
    before = "<|begin|><|user|>Name three colours.<|end|><|assistant|>"
    both = nlls(folder, before, f"{ANSWER}<|end|>")
    both += nlls(folder, f"{before}{ANSWER}<|end|><|user|>And 7 + 8?<|end|><|assistant|>", "It is 15.<|end|>")
    assert found["nll_mean"] == pytest.approx(mean(both), rel=1e-4)
    assert found["n_tokens"] == len(both)


@pytest.mark.parametrize(
    ("name", "row", "params", "reason"),
    [
        ("ifd", {"messages": None}, {}, "no answer of the assistant"),
        ("ifd", {"messages": TALK[:1]}, {}, "no answer of the assistant"),
        ("ifd", {"messages": [*TALK[:1], {"role": "assistant", "content": " "}]}, {}, "the answer is empty"),
        ("ifd", {"messages": [*TALK[:1], {"role": "assistant", "content": "a" * 600}]}, {}, "the model takes"),
        ("perplexity", {"text": None}, {}, "null or empty"),
        ("perplexity", {"text": "a" * 600}, {}, "the model takes"),
        ("perplexity", {"messages": TALK[:1]}, {"of": "answers"}, "no answer of the assistant"),
    ],
)
def test_what_has_no_score_has_a_reason(folder, name, row, params, reason):
    (error,) = scored(folder, name, row, **params)
    assert isinstance(error, RowError)
    assert reason in error.message


def test_an_impossible_token_has_no_perplexity():
    class Never:
        async def loglikelihood(self, *_):
            return Answer(value=-math.inf, tokens_out=3)

    op = operator("score", "perplexity")
    with pytest.raises(RowError, match="no finite number"):
        asyncio.run(op.fn({"text": "a"}, op.params(), FakeContext(17, Never())))
