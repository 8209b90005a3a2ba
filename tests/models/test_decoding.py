"""The decoding loop against its definition: greedy, inversion of the nucleus, stop texts, ends."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_backend import TEXTS, ask
from tiny_model import END

from engine.request import Generate, Sampling

torch = pytest.importorskip("torch", reason="needs the extra `train`")
transformers = pytest.importorskip("transformers", reason="needs the extra `train`")


def test_greedy_is_the_argmax_of_each_step(tiny_model, reference):
    ids = reference.tokenizer(TEXTS[0], return_tensors="pt")["input_ids"]
    prompt = ids.shape[1]
    for _ in range(12):
        ids = torch.cat([ids, reference.model(ids).logits[:, -1:].argmax(-1)], dim=1)
    assert END not in ids[0, prompt:], "choose another prompt for this test"
    (answer,) = ask(tiny_model, [Generate(TEXTS[0], Sampling(temperature=0.0, max_tokens=12))])
    assert answer.text == reference.tokenizer.decode(ids[0, prompt:], skip_special_tokens=True)
    assert (answer.finish_reason, answer.tokens_in, answer.tokens_out) == ("length", prompt, 12)


@pytest.mark.parametrize("nucleus", [256, 3])
@pytest.mark.parametrize("top_p", [0.6, 1.0])
def test_a_draw_inverts_the_cumulative_distribution(tiny_model, reference, monkeypatch, top_p, nucleus):
    """One token by definition: the nucleus in the order of probability, inversion in the order of the vocabulary."""
    monkeypatch.setattr("engine.models._decoding.NUCLEUS", nucleus)
    ids = torch.tensor([reference.tokenizer(TEXTS[1])["input_ids"]])
    p = (reference.model(ids).logits[0, -1].double() / 1.2).softmax(-1).numpy()
    order = np.argsort(-p)
    kept = order[: 1 + int(np.searchsorted(np.cumsum(p[order]), top_p))]
    q = np.where(np.isin(np.arange(len(p)), kept), p, 0)
    uniform = [np.random.default_rng(draw).random() for draw in range(40)]
    expected = np.searchsorted(np.cumsum(q / q.sum()), uniform, side="right").tolist()
    sampling = Sampling(temperature=1.2, top_p=top_p, max_tokens=1)
    answers = ask(tiny_model, [Generate(TEXTS[1], sampling, draw) for draw in range(40)])
    assert [a.text for a in answers] == [reference.tokenizer.decode([t], skip_special_tokens=True) for t in expected]
    assert len(set(expected)) > 3, "a test of one outcome tests nothing"


def test_a_uniform_number_next_to_one_still_draws_a_possible_token():
    from engine.models._decoding import pick

    logits = torch.tensor([[0.0, 5.0, 4.0, -1e9, -1e9]]).repeat(2, 1)
    uniform = torch.tensor([0.0, float(np.nextafter(np.float32(1), np.float32(0)))])
    drawn = pick(logits, uniform, torch.ones(2, 1), torch.full((2, 1), 0.99))
    assert drawn.tolist() == [1, 2], "token 0 is outside the nucleus, tokens 3 and 4 are impossible"


def test_unset_sampling_comes_from_the_generation_config(tmp_path, tiny_model):
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model)
    transformers.AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path)
    model.generation_config.update(do_sample=True, temperature=0.3, top_p=0.5)
    model.save_pretrained(tmp_path)
    open_, stated = Sampling(max_tokens=20), Sampling(temperature=0.3, top_p=0.5, max_tokens=20)
    assert ask(tmp_path, [Generate("a", open_, 5)]) == ask(tiny_model, [Generate("a", stated, 5)])
    assert ask(tiny_model, [Generate("a", open_, 5)]) == ask(
        tiny_model, [Generate("a", Sampling(temperature=1.0, max_tokens=20), 5)]
    )


def test_a_reply_is_cut_before_the_first_stop_text(tiny_model):
    sampling = Sampling(temperature=0.9, max_tokens=60)
    (full,) = ask(tiny_model, [Generate("Name the", sampling, 4)])
    for stop in (full.text[20:23], full.text[-2:], full.text[:1]):
        stops = ("unsaid", stop[1:] or stop, stop)  # the end of a stop text is one too: both end with the same token
        (cut,) = ask(tiny_model, [Generate("Name the", sampling.model_copy(update={"stop": stops}), 4)])
        assert cut.text == full.text[: min(full.text.index(s) for s in stops[1:])]
        assert cut.finish_reason == "stop"
        assert cut.tokens_out <= full.tokens_out


def test_a_reply_ends_at_the_end_token_which_is_no_text(tmp_path, tiny_model):
    """A model whose logits are all equal says token 0 for ever; here that is one of two ends."""
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model)
    torch.nn.init.zeros_(model.model.norm.weight)
    model.generation_config.eos_token_id = [END, 0]
    model.save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path)
    (answer,) = ask(tmp_path, [Generate("a", Sampling(temperature=0.0, max_tokens=9))])
    assert (answer.text, answer.finish_reason, answer.tokens_out) == ("", "stop", 1)


def test_a_reply_that_meets_the_end_of_the_context_says_length(tiny_model):
    (answer,) = ask(tiny_model, [Generate("a" * 505, Sampling(temperature=0.0, max_tokens=100))])
    assert answer.finish_reason == "length"
    assert answer.tokens_in + answer.tokens_out == 512


def test_a_special_token_among_the_stops_ends_a_reply_though_no_text_shows_it(reference):
    from engine.models._decoding import _Row
    from engine.models._items import Draft

    def decode(ids):
        return reference.tokenizer.decode(ids, skip_special_tokens=True)

    user = reference.tokenizer.convert_tokens_to_ids("<|user|>")
    letter = reference.tokenizer("a")["input_ids"][0]
    row = _Row(Draft([letter], 9, 1.0, 1.0, ("<|user|>",), 0, ends=frozenset({user})))
    for token in (letter, user):
        assert row.finish is None
        row.add(token, {END}, decode)
    answer = row.answer({END}, decode)
    assert (answer.text, answer.finish_reason, answer.tokens_out) == ("a", "stop", 2)
