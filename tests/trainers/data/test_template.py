"""Masks under the templates of well-known families: exactly the assistant's words and the end of turn."""

import pytest
from handoff_folders import SPECIAL, TEMPLATES, talk, tokenizer_of, write

from trainers.config import SftConfig, from_params
from trainers.data.folder import open_handoff
from trainers.data.template import Renderer, RowError
from trainers.data.tokens import load_tokenizer, tokenise

FAMILIES = sorted(SPECIAL)
ANSWERS = ("Red, blue and yellow.", "Köln — 42 €.")


def tokens_of(folder, **params):
    handoff = open_handoff(folder)
    config = from_params(SftConfig, {**handoff.params, **params})
    tokenizer = load_tokenizer(handoff.base, config.chat_template)
    return tokenise(handoff, tokenizer, config)[0], tokenizer


def targets(tokens, tokenizer, row=0):
    """The decoded runs of loss targets of a row."""
    start, end = tokens.offsets[row : row + 2]
    ids, mask = tokens.ids[start:end], tokens.mask[start:end]
    runs, run = [], []
    for token, target in zip(ids, mask, strict=True):
        if target:
            run.append(token)
        elif run:
            runs.append(tokenizer.decode(run))
            run = []
    return [*runs, *([tokenizer.decode(run)] if run else [])]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_targets_are_the_answers_with_their_ends_of_turn(tmp_path, family):
    tokenizer = tokenizer_of(family)
    rows = [talk("Name three colours.", ANSWERS[0], "And where is it?", ANSWERS[1])]
    tokens, loaded = tokens_of(write(tmp_path / "h", {"messages": rows}, tokenizer))
    end = SPECIAL[family][1]
    assert [run.strip().removesuffix(end) for run in targets(tokens, loaded)] == list(ANSWERS)
    assert all(run.strip().endswith(end) for run in targets(tokens, loaded))
    assert loaded.decode(tokens.ids) == loaded.apply_chat_template(rows[0], tokenize=False)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_has_exactly_one_beginning_of_text(tmp_path, family):
    tokenizer = tokenizer_of(family)
    tokens, _ = tokens_of(write(tmp_path / "h", {"messages": [talk("a", "b", "c", "d")]}, tokenizer))
    if tokenizer.bos_token_id is not None:
        assert (tokens.ids == tokenizer.bos_token_id).sum() == 1
        assert tokens.ids[0] == tokenizer.bos_token_id


@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "mistral"])
def test_a_system_turn_is_no_target(tmp_path, family):
    tokenizer = tokenizer_of(family)
    rows = [talk("a", "Red.", system="Answer in red.")]
    tokens, loaded = tokens_of(write(tmp_path / "h", {"messages": rows}, tokenizer))
    assert [run.strip() for run in targets(tokens, loaded)] == [f"Red.{SPECIAL[family][1]}"]


def test_an_empty_answer_still_teaches_to_end(tmp_path):
    tokens, loaded = tokens_of(write(tmp_path / "h", {"messages": [talk("a", "")]}, tokenizer_of("marked")))
    assert targets(tokens, loaded) == ["<|im_end|>"]


def test_a_refusing_template_names_its_reason():
    renderer = Renderer(tokenizer_of("mistral"), "assistant")
    with pytest.raises(RowError, match="only user and assistant roles") as error:
        renderer.render(talk("a", "b", system="s"))
    assert error.value.code == "template_refuses"


def test_a_template_that_drops_earlier_answers_is_refused():
    forgetful = (
        (TEMPLATES / "chatml.jinja")
        .read_text()
        .replace("message['content'] +", "(message['content'] if loop.last or message['role'] == 'user' else '') +")
    )
    renderer = Renderer(tokenizer_of("chatml", forgetful), "assistant")
    with pytest.raises(RowError) as error:
        renderer.render(talk("a", "b", "c", "d"))
    assert error.value.code == "prefix_mismatch"


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (None, "no_messages"),
        ([], "no_messages"),
        ([{"role": "user", "content": None}], "no_messages"),
        ([{"role": "assistant", "content": "a"}], "role_order"),
        ([*talk("a", "b"), {"role": "assistant", "content": "c"}], "role_order"),
        ([{"role": "user", "content": "a"}, *talk("b", "c")], "role_order"),
    ],
)
def test_conversations_that_are_none(messages, code):
    with pytest.raises(RowError) as error:
        Renderer(tokenizer_of("marked"), "assistant").render(messages)
    assert error.value.code == code


def test_plain_joins_contents_and_ends_the_answer(tmp_path):
    folder = write(tmp_path / "h", {"messages": [talk("Score: ", "3")]}, tokenizer_of("chatml"))
    tokens, loaded = tokens_of(folder, chat_template="plain")
    assert loaded.decode(tokens.ids) == "Score: 3<|im_end|>"
    assert targets(tokens, loaded) == ["3<|im_end|>"]


def test_a_family_with_a_tokenizer_of_its_own_is_tokenised_as_it_is_served(tmp_path):
    from transformers import AutoTokenizer

    folder = write(tmp_path / "h", {"messages": [talk("a", "b")]}, tokenizer_of("chatml"))
    config = folder / "base" / "tokenizer_config.json"
    config.write_text(config.read_text().replace('"TokenizersBackend"', '"GPT2Tokenizer"'))
    loaded = load_tokenizer(open_handoff(folder).base, None)
    served = AutoTokenizer.from_pretrained(folder / "base")
    assert type(loaded) is type(served)
    assert loaded.backend_tokenizer.to_str() == served.backend_tokenizer.to_str()
