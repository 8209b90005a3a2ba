"""The `transformers` backend as a whole: alone or in a crowd, what it refuses, its identity, its life."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from tiny_backend import CHATS, TEXTS, ask, embed, make
from tiny_model import build_tiny_model

from engine.errors import ModelError, SetwrightError
from engine.models.transformers import TransformersBackend
from engine.registry import backend
from engine.request import Answer, Capability, Chat, Embed, Generate, LogLikelihood, NextToken, Reward, Sampling

transformers = pytest.importorskip("transformers", reason="needs the extra `train`")


@pytest.fixture(scope="module", params=["LlamaForCausalLM", "GPT2LMHeadModel"])
def any_model(request, tmp_path_factory, tiny_model):
    """Rotary positions are relative; GPT-2's are absolute, and so show where padding moves them."""
    return build_tiny_model(tmp_path_factory.mktemp("any"), architecture=request.param)


def test_replies_do_not_depend_on_the_batch(any_model):
    styles = [
        Sampling(temperature=0.9),
        Sampling(temperature=1.3, top_p=0.8, stop=(" the",)),
        Sampling(temperature=0.0),
    ]
    requests = [
        kind(text, style.model_copy(update={"max_tokens": n}), draw)
        for kind, texts in ((Generate, TEXTS), (Chat, CHATS))
        for draw, (text, n) in enumerate(zip(texts, (5, 24, 12, 18, 24), strict=True))
        for style in styles
    ]
    alone = ask(any_model, requests, crowd=False)
    assert ask(any_model, requests) == alone
    assert ask(any_model, requests[::-1], max_batch_tokens=150) == alone[::-1]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_bit_of_a_log_probability_depends_on_the_batch(any_model, dtype):
    requests = [LogLikelihood(a, " " + b) for a in TEXTS for b in TEXTS]
    requests += [NextToken(("1", "2", " the"), prompt=TEXTS[3] + text) for text in TEXTS]
    requests += [NextToken(("1", "2", " the"), prompt=f"{text} {i}") for text in TEXTS for i in range(4)]
    alone = ask(any_model, requests, crowd=False, dtype=dtype)
    assert ask(any_model, requests, dtype=dtype) == alone
    assert ask(any_model, requests[::-1], dtype=dtype, max_batch_tokens=300) == alone[::-1]


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_embeddings_do_not_depend_on_the_batch(any_model, pooling):
    together = embed(any_model, TEXTS, pooling=pooling)
    alone = np.concatenate([embed(any_model, [text], pooling=pooling) for text in TEXTS])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("pad", [0, "null"])
def test_rewards_do_not_depend_on_the_batch(tmp_path, reward_model, pad):
    shutil.copytree(reward_model, tmp_path, dirs_exist_ok=True)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"pad_token_id": 0', f'"pad_token_id": {pad}'))
    requests = [Reward((*chat, {"role": "assistant", "content": "red"})) for chat in CHATS]
    together, alone = ask(tmp_path, requests), ask(tmp_path, requests, crowd=False)
    assert together == alone


def test_many_concurrent_calls_of_all_kinds_finish(tiny_model):
    kinds = [
        lambda i: Generate(TEXTS[i % 5], Sampling(temperature=1.0, max_tokens=1 + i % 7), i),
        lambda i: Chat(CHATS[i % 5], Sampling(temperature=0.7, top_p=0.9, max_tokens=1 + i % 5), i),
        lambda i: LogLikelihood(TEXTS[i % 4], f" {i}"),
        lambda i: NextToken(("1", "2"), prompt=f"score {i}: "),
    ]
    answers = ask(tiny_model, [kinds[i % 4](i) for i in range(500)], max_batch_tokens=2048)
    assert all(isinstance(a, Answer) for a in answers)
    assert [a.tokens_out for a in answers[2::4]] == [1 + len(str(i)) for i in range(2, 500, 4)], "a space and digits"


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (Generate(""), "no tokens"),
        (Generate("a", Sampling(max_tokens=0)), "max_tokens is 0"),
        (Generate("a", Sampling(stop=("",))), "empty stop"),
        (Generate("a" * 512, Sampling(max_tokens=1)), "has 512 tokens and the model takes 511"),
        (NextToken(("1", "2"), prompt="a" * 513), "has 513 tokens and the model takes 512"),
        (LogLikelihood("a" * 512, "11"), "has 514 tokens and the model takes 513"),
        (Chat(()), "empty conversation"),
        (Reward(CHATS[0]), "LlamaForCausalLM can't answer reward calls"),
    ],
)
def test_bad_requests_fail_alone(tiny_model, bad, says):
    error, good = ask(tiny_model, [bad, Generate("a", Sampling(max_tokens=1))])
    assert isinstance(error, ModelError)
    assert says in str(error)
    assert good.text is not None


def test_embedding_is_cut_only_where_max_length_says_so_and_warns(tiny_model, caplog):
    texts = ["b", "a" * 600, "c"]
    with pytest.raises(ModelError, match=r"1 of 3 texts .* number 2: the text has 600 tokens .* 512") as caught:
        embed(tiny_model, texts)
    assert "params.max_length" in caught.value.cure
    vectors = embed(tiny_model, texts, max_length=8)
    assert "tiny: 1 of 3 texts are longer than max_length (8 tokens)" in caplog.text
    np.testing.assert_allclose(vectors[1], embed(tiny_model, ["a" * 8])[0], atol=1e-5)


def test_a_checkpoint_answers_what_its_architecture_can(tmp_path, reward_model):
    rewarded, refused = ask(reward_model, [Reward(CHATS[0]), Generate("a")])
    assert rewarded.value is not None
    assert "only: embed, reward" in str(refused)
    encoder = build_tiny_model(tmp_path, architecture="LlamaModel")
    embedded, refused = ask(encoder, [Embed("a"), LogLikelihood("a", "b")])
    assert embedded.vector.shape == (64,)
    assert "LlamaModel can't answer loglikelihood calls, only: embed" in str(refused)
    assert refused.cure


def test_weights_that_are_missing_are_not_made_up(tmp_path, tiny_model):
    shutil.copytree(tiny_model, tmp_path, dirs_exist_ok=True)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))
    with pytest.raises(SetwrightError, match="lacks weights of LlamaForCausalLM"):
        ask(tmp_path, [])


def test_a_missing_extra_names_its_install_command(tiny_model, monkeypatch):
    monkeypatch.delitem(sys.modules, "engine.models._torch", raising=False)
    monkeypatch.delattr("engine.models._torch", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SetwrightError, match="needs torch and transformers") as caught:
        ask(tiny_model, [])
    assert caught.value.cure == "pip install 'setwright[train]'"


def test_identity_holds_the_content_and_what_changes_answers(tmp_path, tiny_model):
    base = make(tiny_model).identity()
    shutil.copytree(tiny_model, tmp_path / "moved")
    assert make(tmp_path / "moved").identity() == base
    assert "/" not in str(base), "no path, wherever the folder is"
    for params in ({"max_batch_tokens": 7}, {"attn_implementation": "eager"}):
        assert make(tiny_model, **params).identity() == base
    changed = {
        "dtype": "bfloat16", "pooling": "last", "max_length": 9, "chat_template": "x", "temperature": 0.5,
        "top_p": 0.5, "max_tokens": 5, "stop": ["x"],
    }  # fmt: skip
    identities = [base, *(make(tiny_model, **{name: value}).identity() for name, value in changed.items())]
    assert len({str(identity) for identity in identities}) == 1 + len(changed)


def test_identity_and_dimension_need_no_torch(tiny_model):
    code = (
        "import sys; from engine.model import ModelConfig\n"
        "from engine.models.transformers import TransformersBackend as B, TransformersParams as P\n"
        f"b = B(ModelConfig('m', model={str(tiny_model)!r}, params=P())); b.identity()\n"
        "print(b.embedding_dim(), 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["64", "False", "False"]


def test_closing_frees_the_thread(tiny_model):
    ask(tiny_model, [Generate("a", Sampling(max_tokens=1))])
    assert not any(t.name == "setwright-model" for t in threading.enumerate())


def test_the_registry_finds_it_and_it_offers_every_kind():
    assert backend("transformers") is TransformersBackend
    assert TransformersBackend.offers == frozenset(Capability)


def test_models_that_start_at_the_same_time_are_all_whole(tiny_model):
    async def ask() -> list[str | None]:
        backends = [make(tiny_model) for _ in range(4)]
        await asyncio.gather(*(b.start() for b in backends))
        answers = [await b.answer(Generate("Name", Sampling(temperature=0, max_tokens=4))) for b in backends]
        await asyncio.gather(*(b.close() for b in backends))
        return [answer.text for answer in answers]

    assert len(set(asyncio.run(ask()))) == 1
