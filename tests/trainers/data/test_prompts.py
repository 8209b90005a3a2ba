"""Prompts for rollouts: which column they come from, how they end, and what rewards see of them."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from handoff_folders import talk, tokenizer_of, write

from trainers.config import PamaConfig
from trainers.data.folder import open_handoff
from trainers.data.prompts import Asked
from trainers.data.tokens import scan, tokenise
from trainers.errors import HandoffError
from trainers.preflight import check

RULE = {"use": "length", "name": "l", "scale": 1, "low": 0, "high": 1}


def config(**params):
    return PamaConfig(**{"rewards": (RULE,), "max_length": 80, "max_new_tokens": 8, **params})


@pytest.fixture
def read(tmp_path):
    """Writes columns and gives the texts of their prompts, the handoff, the tokens and the report."""

    def texts(columns, **params):
        tokenizer = tokenizer_of("chatml")
        handoff = open_handoff(write(tmp_path / "h", columns, tokenizer))
        tokens, report = scan(handoff, tokenizer, config(**params))
        spans = zip(tokens.offsets, tokens.offsets[1:], strict=False)
        return [tokenizer.decode(tokens.ids[a:b]) for a, b in spans], handoff, tokens, report

    return texts


QUESTION = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\nName three colours.<|im_end|>\n<|im_start|>assistant\n"
)


def test_a_talk_is_asked_up_to_the_user_s_last_turn(read):
    short, long = talk("Name three colours.", "Red."), talk("Köln?", "Rhein.", "What is 12 + 30?")
    found, handoff, tokens, _ = read({"messages": [short, long]}, max_length=200)
    assert found[0] == QUESTION
    assert found[1].endswith("Rhein.<|im_end|>\n<|im_start|>user\nWhat is 12 + 30?<|im_end|>\n<|im_start|>assistant\n")
    assert not tokens.mask.any()
    assert Asked(handoff, pa.array(["r1", "r0"])).of([1, 0]) == [short[:1], long]


def test_prompts_are_messages_or_texts(read):
    found, handoff, _, _ = read({"prompt": [talk("Name three colours.")], "messages": [talk("another", "one")]})
    assert found == [QUESTION]
    assert Asked(handoff, pa.array(["r0"])).of([0]) == [talk("Name three colours.")]


def test_a_text_is_asked_as_it_stands(read):
    found, handoff, _, _ = read({"prompt": ["Red, blue and ", "What is"]})
    assert found == ["Red, blue and ", "What is"]
    assert Asked(handoff, pa.array(["r1"])).of([0]) == ["What is"]


def test_what_cannot_be_asked_is_named(read):
    columns = {"prompt": [None, [], None, talk("q", "a")], "messages": [talk("q"), None, [], None]}
    found, _, _, report = read(columns)
    assert len(found) == report.kept == 1
    named = {code: trouble.rows for code, trouble in report.troubles.items()}
    assert named == {"no_messages": ["r1", "r2"], "role_order": ["r3"]}


def test_a_prompt_leaves_room_for_the_answer(read, tmp_path):
    long = "Red, blue and yellow. " * 30
    found, handoff, tokens, report = read({"prompt": ["Name", long]}, over_long="drop")
    assert found == ["Name"]
    assert report.over_long == 1
    assert np.diff(tokens.offsets).max() <= 72
    with pytest.raises(HandoffError, match=r"1 rows .r1.*it leaves no room for max_new_tokens"):
        tokenise(handoff, tokenizer_of("chatml"), config())


def test_the_pre_flight_shows_what_will_be_asked(tmp_path):
    columns = {"messages": [talk("Name three colours.", "Red.")]}
    folder = write(tmp_path / "h", columns, tokenizer_of("chatml"), rewards=[RULE], max_length=80, max_new_tokens=8)
    record = json.loads((folder / "handoff.json").read_text())
    (folder / "handoff.json").write_text(json.dumps({**record, "trainer": "pama"}))
    report = check(folder)
    assert (report.passed, report.kept, report.target_tokens) == (True, 1, 0)
    assert report.examples[0].pieces == ((QUESTION, False),)
    assert "Loss targets come from the answers that the policy will write" in (folder / "preflight.md").read_text()
