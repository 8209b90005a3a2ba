"""Single passes against torch by hand: log-likelihood, next token, embedding, reward; slices; memory."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_backend import CHATS, TEXTS, ask, embed
from tiny_model import BEGIN

from engine.request import Generate, LogLikelihood, NextToken, Reward, Sampling

torch = pytest.importorskip("torch", reason="needs the extra `train`")
transformers = pytest.importorskip("transformers", reason="needs the extra `train`")

PAIRS = [LogLikelihood(a, " " + b) for a in TEXTS for b in TEXTS]


@pytest.mark.parametrize(
    ("context", "continuation"),
    [
        ("What is 12 + 30?", " It is 42."),
        ("The sea ", "is wide"),
        ("", "The sea is wide"),
        ("the night is", "\n\nlong"),
    ],
)
def test_loglikelihood_is_the_sum_over_the_continuation(tiny_model, reference, context, continuation):
    head = reference.tokenizer(context.rstrip())["input_ids"] or [BEGIN]
    whole = reference.tokenizer(context + continuation)["input_ids"]
    whole = whole if context else [BEGIN, *whole]
    logprobs = reference.model(torch.tensor([whole])).logits[0].log_softmax(-1)
    expected = sum(float(logprobs[i - 1, whole[i]]) for i in range(len(head), len(whole)))
    (answer,) = ask(tiny_model, [LogLikelihood(context, continuation)])
    assert answer.value == pytest.approx(expected, abs=1e-4)
    assert (answer.tokens_in, answer.tokens_out) == (len(head), len(whole) - len(head))


def test_the_last_token_is_predicted_and_never_read(tiny_model):
    (answer,) = ask(tiny_model, [LogLikelihood("a" * 512, "1")])
    assert answer.tokens_in + answer.tokens_out == 513, "one more than the model has positions"


def test_slices_change_nothing(tiny_model, monkeypatch):
    from engine.models import _forward

    expected = [a.value for a in ask(tiny_model, PAIRS)]
    monkeypatch.setattr(_forward, "CPU_TOKENS", 10**9)
    whole = [a.value for a in ask(tiny_model, PAIRS)]
    monkeypatch.setattr(_forward, "LOGITS", 400 * 7)  # seven positions of this vocabulary
    monkeypatch.setattr(_forward, "COPY", 400 * 3)
    assert [a.value for a in ask(tiny_model, PAIRS)] == pytest.approx(expected, abs=1e-4)
    assert whole == pytest.approx(expected, abs=1e-4)


def test_next_token_is_the_softmax_over_the_whole_vocabulary(tiny_model, reference):
    candidates = ("1", "6", " the", "primary nonsense")
    ids = {c: reference.tokenizer(c)["input_ids"][0] for c in candidates}
    rendered = reference.tokenizer.apply_chat_template(list(CHATS[1]), tokenize=False, add_generation_prompt=True)
    asked = [NextToken(candidates, prompt="score: "), NextToken(candidates, messages=CHATS[1])]
    for text, answer in zip(("score: ", rendered), ask(tiny_model, asked), strict=True):
        logits = reference.model(torch.tensor([reference.tokenizer(text)["input_ids"]])).logits[0, -1]
        expected = {c: float(logits.log_softmax(-1)[i]) for c, i in ids.items()}
        assert dict(answer.logprobs) == pytest.approx(expected, abs=1e-4)


def test_pooling_is_over_the_tokens_of_the_text_alone(tiny_model, reference):
    ids = [torch.tensor([reference.tokenizer(text)["input_ids"]]) for text in TEXTS]
    states = [reference.model.model(i).last_hidden_state[0].numpy() for i in ids]  # (tokens, 64) each
    mean = embed(tiny_model, TEXTS, pooling="mean")
    assert mean.dtype == np.float32
    np.testing.assert_allclose(mean, [s.mean(0) for s in states], atol=1e-5)
    np.testing.assert_allclose(embed(tiny_model, TEXTS, pooling="last"), [s[-1] for s in states], atol=1e-5)


def test_reward_is_the_logit_of_the_last_token(reward_model):
    chat = (*CHATS[1], {"role": "assistant", "content": "42"})
    tokenizer = transformers.AutoTokenizer.from_pretrained(reward_model)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(reward_model).requires_grad_(False)
    ids = tokenizer(tokenizer.apply_chat_template(list(chat), tokenize=False))["input_ids"]
    expected = float(model.score(model.model(torch.tensor([ids])).last_hidden_state)[0, -1, 0])
    (answer,) = ask(reward_model, [Reward(chat)])
    assert answer.value == pytest.approx(expected, abs=1e-5)


def test_dtype_is_that_of_the_weights(tiny_model):
    full = [a.value for a in ask(tiny_model, PAIRS)]
    half = [a.value for a in ask(tiny_model, PAIRS, dtype="bfloat16")]
    assert half == pytest.approx(full, rel=0.02)
    assert half != pytest.approx(full, rel=1e-5)


def test_out_of_memory_halves_the_batch_and_goes_on(tiny_model, monkeypatch, caplog):
    """torch's own failure: beyond 8 rows, a pass asks for more memory than any machine has."""
    requests = [Generate(TEXTS[i % 5], Sampling(temperature=1.0, max_tokens=6), i) for i in range(40)]
    expected = ask(tiny_model, requests)
    forward = transformers.LlamaForCausalLM.forward

    def greedy_forward(self, input_ids=None, past_key_values=None, **inputs):
        if len(input_ids) > 8:
            torch.empty(1 << 60, dtype=torch.uint8)
        return forward(self, input_ids=input_ids, past_key_values=past_key_values, **inputs)

    monkeypatch.setattr(transformers.LlamaForCausalLM, "forward", greedy_forward)
    assert ask(tiny_model, requests) == expected
    assert "out of memory at" in caplog.text
