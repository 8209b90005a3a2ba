"""Requests to tokens: what a template gets, which special tokens are added, candidates, borders."""

from __future__ import annotations

import pytest
from tiny_backend import CHATS, TEXTS
from tiny_model import BEGIN, SPECIAL, build_tokenizer

from engine.errors import ModelError
from engine.models._encoding import Encoder
from engine.request import Chat, Embed, Generate, LogLikelihood, NextToken, Reward, Sampling

pytest.importorskip("transformers", reason="needs the extra `train`")


def encoder(tokenizer=None, **options):
    return Encoder(tokenizer or build_tokenizer(), limit=512, defaults=Sampling(max_tokens=8), **options)


def beginning_tokenizer():
    """One that adds the beginning-of-text token, as Llama's does."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = build_tokenizer()
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|begin|> $A", special_tokens=[("<|begin|>", BEGIN)]
    )
    return tokenizer


def spaced_tokenizer():
    """One that puts a space before every text, as SentencePiece does; knows the pieces 1, 2 and their spaced forms."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({"▁1": 0, "1": 1, "▁2": 2, "2": 3, "▁": 4, "?": 5}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?")


def test_generate_encodes_exactly_the_prompt():
    plain = encoder(beginning_tokenizer())
    assert plain(Generate("a")).ids == build_tokenizer()("a")["input_ids"]
    assert plain(Generate("<|begin|><|user|>")).ids == [BEGIN, SPECIAL.index("<|user|>")]


def test_scoring_begins_with_the_token_that_the_tokenizer_adds_once():
    adds, plain = encoder(beginning_tokenizer()), encoder()
    a, b = (build_tokenizer()(text)["input_ids"] for text in ("a", " b"))
    assert adds(LogLikelihood("a", " b")).ids == [BEGIN, *a, *b]
    assert adds(LogLikelihood("<|begin|>a", " b")).ids == [BEGIN, *a, *b]
    assert adds(NextToken(("1", "2"), prompt="a")).ids == [BEGIN, *a]
    assert plain(LogLikelihood("a", " b")).ids == [*a, *b]
    assert plain(LogLikelihood("", " b")).ids == [BEGIN, *b], "something to condition on"


def test_embedding_has_the_special_tokens_of_the_tokenizer_and_is_cut_around_them():
    passage = encoder(beginning_tokenizer(), max_length=4)(Embed("a" * 20))
    assert passage.ids == [BEGIN, *build_tokenizer()("aaa")["input_ids"]]
    assert passage.cut


def test_chat_is_the_template_opened_for_a_reply_and_reward_is_not():
    tokenizer = build_tokenizer()
    chat = f"<|begin|><|user|>{TEXTS[0]}<|end|>"
    assert encoder()(Chat(CHATS[0])).ids == tokenizer(chat + "<|assistant|>")["input_ids"]
    assert encoder()(Reward(CHATS[0])).ids == tokenizer(chat)["input_ids"]


def test_tool_calls_reach_the_template():
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "add", "arguments": {}}}]}
    spelt = f"<|begin|><|user|>{TEXTS[0]}<|end|><|assistant|>add()<|end|><|assistant|>"
    assert encoder()(Chat((*CHATS[0], call))).ids == build_tokenizer()(spelt)["input_ids"]


def test_a_template_of_the_spec_comes_first_and_none_at_all_names_the_cure():
    tokenizer = build_tokenizer()
    given = encoder(tokenizer, chat_template="{{ messages[0]['content'] }}")
    assert given(Chat(CHATS[2])).ids == tokenizer("a")["input_ids"]
    tokenizer.chat_template = None
    with pytest.raises(ModelError, match="no chat template") as caught:
        encoder(tokenizer)(Chat(CHATS[0]))
    assert "params.chat_template" in caught.value.cure


def test_the_border_follows_lm_evaluation_harness():
    count = {text: len(build_tokenizer()(text)["input_ids"]) for text in ("The sea", "The sea is")}
    moved = encoder()(LogLikelihood("The sea ", "is"))
    assert (len(moved.ids), moved.n) == (count["The sea is"], count["The sea is"] - count["The sea"])
    for context, continuation in (("prima", "ry"), ("The sea", "")):
        with pytest.raises(ModelError, match="no token of its own") as caught:
            encoder()(LogLikelihood(context, continuation))
        assert caught.value.cure


def test_a_candidate_is_the_piece_that_is_spelt_so():
    """After "score: " the model writes the bare 1, while encoding "1" alone would give the spaced piece."""
    tokenizer = spaced_tokenizer()
    assert tokenizer("1")["input_ids"] == [0]
    assert encoder(tokenizer)(NextToken(("1", "2"), prompt="2")).candidates == {"1": 1, "2": 3}


def test_a_letter_that_spells_a_byte_is_not_taken_for_the_piece():
    tokenizer = build_tokenizer()
    byte = tokenizer.get_vocab()["é"]  # the byte E9, and not the letter, whose bytes are C3 A9
    first = tokenizer("é")["input_ids"][0]
    assert first != byte
    assert encoder()(NextToken(("é", "1"), prompt="a")).candidates["é"] == first


@pytest.mark.parametrize(("candidates", "says"), [(("12", "13"), "begin with the same token"), (("",), "no token")])
def test_candidates_that_can_not_be_told_apart_are_refused(candidates, says):
    with pytest.raises(ModelError, match=says):
        encoder()(NextToken(candidates, prompt="a"))
