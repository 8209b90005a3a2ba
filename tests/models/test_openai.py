"""The backend against a real HTTP server on loopback: what is sent, what is read, and its identity."""

import math

import numpy as np
import pytest
from fake_replies import vector_of
from fake_server import Fault
from pydantic import ValidationError
from teacher import HOT, KEY, ask, backend, chat, run

from engine.errors import ModelError
from engine.model import ModelConfig
from engine.models import openai
from engine.models._openai_wire import read_loglikelihood
from engine.models.openai import OpenAI, OpenAIParams
from engine.request import Chat, Generate, LogLikelihood, NextToken, ReplyLogLikelihood, Sampling


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


# What is sent


def test_a_chat_call_sends_the_sampling_the_draw_and_the_key(fake_server):
    server = fake_server()
    draw = 2**63 - 1
    ask(backend(server.url, extra_body={"chat_template_kwargs": {"x": 1}}), chat("hi", HOT, draw))
    (hit,) = server.hits
    assert hit.path == "/v1/chat/completions"
    assert hit.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.7,
        "max_tokens": 5,
        "seed": draw,
        "chat_template_kwargs": {"x": 1},
    }
    assert hit.header("authorization") == f"Bearer {KEY}"
    assert hit.header("content-type") == "application/json"


def test_a_raw_completion_sends_the_prompt_as_it_is_and_greedy_no_seed(fake_server):
    server = fake_server()
    (answer,) = ask(backend(server.url), Generate("<|user|>\n", Sampling(temperature=0, stop=("\n",)), 7))
    (hit,) = server.hits
    assert hit.path == "/v1/completions"
    assert hit.body == {"model": "m", "prompt": "<|user|>\n", "temperature": 0, "stop": ["\n"]}
    assert answer.text.startswith(" completion ")
    assert (answer.finish_reason, answer.tokens_in, answer.tokens_out, answer.attempts) == ("length", 2, 2, 1)


def test_fields_that_arrow_fills_with_nulls_are_not_sent(fake_server):
    server = fake_server()
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = (
        {"role": "user", "content": "hi", "name": None, "tool_calls": None},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    )
    ask(backend(server.url), Chat(messages))
    sent = server.hits[0].raw
    assert b'{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls"' in sent


def test_openai_itself_is_told_max_tokens_by_its_new_name():
    def limit(url):
        return backend(url)._chat_limit

    assert limit(None) == limit("https://api.openai.com/v1/") == "max_completion_tokens"
    assert limit("http://localhost:8000/v1") == limit("https://api.openai.com.example.org/v1") == "max_tokens"


def test_the_key_falls_back_to_the_environment(fake_server, monkeypatch):
    server = fake_server()
    ask(backend(server.url, key=None), chat("no key"))
    monkeypatch.setenv("OPENAI_API_KEY", "from-environment")
    ask(backend(server.url, key=None), chat("a key"))
    assert [h.header("authorization") for h in server.hits] == [None, "Bearer from-environment"]


def test_white_space_around_a_key_is_no_part_of_it(fake_server):
    server = fake_server()
    ask(backend(server.url, key=f"{KEY}\n"), chat("a"))
    assert server.hits[0].header("authorization") == f"Bearer {KEY}"


def test_a_proxy_of_the_environment_is_used(fake_server, monkeypatch):
    proxy = fake_server()
    monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
    monkeypatch.setenv("no_proxy", "")
    (answer,) = ask(backend("http://model.invalid/v1"), chat("hi"))
    assert answer.text.startswith("reply ")
    assert proxy.hits[0].head.startswith(b"POST http://model.invalid/v1/chat/completions ")


# What is read


def test_tool_calls_are_kept_and_a_reply_without_text_is_empty(fake_server):
    server = fake_server()
    tool = {"type": "function", "function": {"name": "add", "parameters": {}}}
    (answer,) = ask(backend(server.url, extra_body={"tools": [tool]}), chat("add"))
    assert answer.text == ""
    assert answer.tool_calls == ({"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}},)


@pytest.mark.parametrize(
    ("model", "context", "continuation", "value", "tokens"),
    [
        ("m", "a bc", " def g", -(4 + 2) / 8, 2),  # tokens: "a", " bc", " def", " g"
        ("m", "a b", "c d", -(3 + 2) / 8, 2),  # " bc" straddles the border: the continuation's
        ("m", "", "ab cd", -3 / 8, 1),  # the first token of a text has no log-probability
        ("bos", "", "ab cd", -(2 + 3) / 8, 2),  # unless the tokenizer puts one before it
        ("bos", "ab ", "cd", -3 / 8, 1),
    ],
)
def test_loglikelihood_sums_over_the_tokens_of_the_continuation(
    fake_server, model, context, continuation, value, tokens
):
    server = fake_server()
    (answer,) = ask(backend(server.url, model=model), LogLikelihood(context, continuation))
    assert (answer.value, answer.tokens_out) == (value, tokens)
    assert server.hits[0].body["prompt"] == context + continuation


@pytest.fixture
def word_tokenizer(tmp_path):
    """A folder with a tokenizer that splits as the fake server does, and `tokenizer(pattern)` for another."""

    def make(pattern=r"\s*\S+"):
        from tokenizers import Regex, Tokenizer, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast

        tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
        template = "{% for m in messages %}{{ m.role + ': ' + m.content }} .{% endfor %}"
        template += "{% if add_generation_prompt %}assistant:{% endif %}"
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?", chat_template=template).save_pretrained(
            tmp_path
        )
        return str(tmp_path)

    return make


TURNS = ({"role": "user", "content": "Why so"}, {"role": "assistant", "content": "it is"})


def test_a_reply_is_scored_on_its_own_tokens_in_the_text_that_the_template_makes(fake_server, word_tokenizer):
    server = fake_server()
    (answer,) = ask(backend(server.url, tokenizer=word_tokenizer()), ReplyLogLikelihood(TURNS))
    (hit,) = server.hits
    assert hit.body["prompt"] == "user: Why so .assistant: it is ."
    assert hit.body["add_special_tokens"] is False
    assert (answer.value, answer.tokens_out) == (-(3 + 3 + 2) / 8, 3), "tokens: it, is, the end of its turn"


def test_a_reply_is_not_scored_by_another_tokenizer_than_the_servers(fake_server, word_tokenizer):
    server = fake_server()
    with pytest.raises(ModelError, match="the server makes 3 tokens of a reply"):
        ask(backend(server.url, tokenizer=word_tokenizer(r"\s*\w")), ReplyLogLikelihood(TURNS))
    with pytest.raises(ModelError, match="keeps its tokenizer to itself"):
        ask(backend(server.url), ReplyLogLikelihood(TURNS))


def test_characters_of_several_tokens_count_where_they_stand():
    """As vLLM spells them: the last token of a character has its text, the ones before it none."""
    tokens = ["<s>", "a", " ", "", "", "\u4f60", "", "", "\u597d", " next"]
    logprobs = {"tokens": tokens, "token_logprobs": [None, -1, -2, -4, -8, -16, -32, -64, -128, -256]}
    reply = {"choices": [{"logprobs": logprobs}], "usage": {"prompt_tokens": 9}}
    assert read_loglikelihood("a \u4f60", "\u597d")(reply).value == -(32 + 64 + 128)
    assert read_loglikelihood("a ", "\u4f60\u597d")(reply).value == -(2 + 4 + 8 + 16 + 32 + 64 + 128)


@pytest.mark.parametrize("form", [{"prompt": "x"}, {"messages": ({"role": "user", "content": "x"},)}])
def test_candidates_that_the_server_does_not_list_have_no_probability(fake_server, form):
    server = fake_server()
    (answer,) = ask(backend(server.url), NextToken(("A", "C", "Z", " A"), **form))
    assert answer.logprobs == {"A": -0.5, "C": -1.5, "Z": -math.inf, " A": -math.inf}


@pytest.mark.parametrize("form", [{"prompt": "x"}, {"messages": ({"role": "user", "content": "x"},)}])
def test_a_server_that_tokenises_shows_every_candidate_by_its_id(fake_server, form):
    server = fake_server()
    model = backend(server.url, model="tokenises")
    asked = NextToken(("1", "Z", "\u2581A"), **form)
    for answer in ask(model, *[asked] * 3):
        assert answer.logprobs == {"1": -ord("1") / 8, "Z": -ord("Z") / 8, "\u2581A": -ord("\u2581") / 8}
    asked_for = [hit.body["prompt"] for hit in server.hits if hit.path == "/tokenize"]
    assert sorted(asked_for) == ["1", "Z", "\u2581A"]
    assert len(server.hits) == 6


def test_a_digit_is_the_bare_piece_where_the_tokenizer_puts_a_space_before_it(fake_server):
    server = fake_server()
    (answer,) = ask(backend(server.url, model="tokenises-with-a-space"), NextToken(("1", "2"), prompt="x"))
    assert answer.logprobs == {"1": -ord("1") / 8, "2": -ord("2") / 8}


def test_a_server_that_tokenises_and_shows_no_ids_is_asked_for_the_most_likely(fake_server):
    server = fake_server()
    model = backend(server.url, model="tokenises-only")

    async def one_by_one(m):
        return [await m.answer(NextToken(("A", "Z"), prompt=text)) for text in "xyz"]

    for answer in run(model, one_by_one):
        assert answer.logprobs == {"A": -0.5, "Z": -math.inf}
    assert len(server.hits) == 2 + 1 + 3


def test_candidates_of_one_token_are_an_error(fake_server):
    server = fake_server()
    with pytest.raises(ModelError, match="begin with the same token"):
        ask(backend(server.url, model="tokenises"), NextToken(("ab", "ac"), prompt="x"))


@pytest.mark.parametrize("request_", [LogLikelihood("a", " b"), NextToken(("A",), prompt="x")])
def test_a_server_without_logprobs_is_an_error_with_a_cure(fake_server, request_):
    server = fake_server()
    with pytest.raises(ModelError, match="no log-probabilities") as e:
        ask(backend(server.url, model="no-logprobs"), request_)
    assert "use: transformers" in e.value.cure
    assert [hit.path for hit in server.hits if hit.path != "/tokenize"] == ["/v1/completions"]


def test_embeddings_keep_the_order_of_the_texts_over_chunks(fake_server, monkeypatch):
    monkeypatch.setattr(openai, "EMBED_CHUNK", 3)
    server = fake_server()
    texts = ["x" * n for n in (5, 1, 4, 2, 8, 3, 9)]
    vectors = run(backend(server.url, dimensions=6), lambda m: m.embed(texts))
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [vector_of(t, 6) for t in texts]
    assert sorted(len(h.body["input"]) for h in server.hits) == [1, 3, 3]
    assert run(backend(server.url, dimensions=6), lambda m: m.embed([])).shape == (0, 6)


def test_one_failing_chunk_fails_the_list_and_leaves_no_call_behind(fake_server, monkeypatch):
    monkeypatch.setattr(openai, "EMBED_CHUNK", 1)

    def plan(hit):
        return Fault(400, message="too long") if b"bad" in hit.raw else Fault(500) if hit.attempt == 1 else None

    server = fake_server(plan)
    with pytest.raises(ModelError, match="too long"):
        run(backend(server.url), lambda m: m.embed(["good", "bad"]))
    assert [h.status for h in server.hits if b"good" in h.raw] == [500, 200]


# Identity and parameters


def test_the_identity_holds_what_decides_answers_and_nothing_else():
    plain = backend("http://a/v1").identity()
    assert plain == {"backend": "openai", "name": "m"}
    assert backend("http://b/v1", key="other", timeout_s=1, max_attempts=1, patience_s=1).identity() == plain
    assert backend("http://a/v1", concurrency=1, temperature=0.5, stop=["x"]).identity() == plain
    assert backend("http://a/v1", dimensions=4).identity() == {**plain, "dimensions": 4}
    assert backend("http://a/v1", extra_body={"top_k": 5}).identity() == {**plain, "extra_body": {"top_k": 5}}
    revised = OpenAI(ModelConfig("t", "m", "abc", params=OpenAIParams()))
    assert revised.identity() == {**plain, "revision": "abc"}


def test_sampling_and_dimension_are_those_of_the_params():
    model = backend("http://a/v1", temperature=0.5, max_tokens=9, stop=["x"], dimensions=4)
    assert model.sampling == Sampling(temperature=0.5, max_tokens=9, stop=("x",))
    assert model.embedding_dim() == 4


@pytest.mark.parametrize("field", ["messages", "seed", "n", "stream", "logprobs", "max_tokens", "temperature"])
def test_extra_body_leaves_the_engine_its_fields(field):
    with pytest.raises(ValidationError, match=f"{field}: set by the engine"):
        OpenAIParams(extra_body={field: 1})
