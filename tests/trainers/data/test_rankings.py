"""Rows of rankings to tokens: the order of answers, what is refused by name, how prompts are cut, and rewards."""

from __future__ import annotations

import numpy as np
import pytest
from handoff_folders import talk, tokenizer_of, write

from trainers.config import RankConfig, from_params
from trainers.data.folder import open_handoff
from trainers.data.items import item_sizes
from trainers.data.rankings import rewards_of
from trainers.data.tokens import load_tokenizer, scan, tokenise
from trainers.errors import HandoffError

GOOD = {
    "prompt": [talk("Name three colours."), talk("12 + 30?", "42", "And Köln?", system="Be brief."), talk("€?")],
    "responses": [["Red.", "Red, blue and yellow.", "No."], ["It is 42.", "It liegt am Rhein."], ["a", "b", "c", "d"]],
    "train_ranking": [[1, 0, 2], [1, 0], [3, 0]],
}
REWARDS = [[0.5, 2.0, -1.0], [0.0, 1.0], [1.0, 9.0, None, 4.0]]


def folder(path, columns, **params):
    return write(path / "h", columns, tokenizer_of("marked"), trainer="rank", **params)


def run(folder, read=tokenise, **params):
    handoff = open_handoff(folder)
    config = from_params(RankConfig, {**handoff.params, **params})
    return read(handoff, load_tokenizer(handoff.base, config.chat_template), config)


def rows_of(tokens):
    spans = zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    return [(tokens.ids[a:b].tolist(), tokens.mask[a:b].tolist()) for a, b in spans]


def said(tokens):
    """What is scored of each row."""
    tokenizer = tokenizer_of("marked")
    scored = [[i for i, target in zip(ids, mask, strict=True) if target] for ids, mask in rows_of(tokens)]
    return [tokenizer.decode(ids).removesuffix(tokenizer.eos_token) for ids in scored]


def with_row(**row):
    """The good rows, and one more, which differs from a good one in this alone."""
    more = {"prompt": talk("a"), "responses": ["b", "c", "d"], "train_ranking": [2, 0], **row}
    return {name: [*values, more[name]] for name, values in GOOD.items()}


def test_answers_come_in_the_order_of_their_ranking_and_others_not_at_all(tmp_path):
    tokens, report = run(folder(tmp_path, GOOD))
    ranked = ["Red, blue and yellow.", "Red.", "No.", "It liegt am Rhein.", "It is 42.", "d", "a"]
    assert said(tokens) == ranked
    assert tokens.row_ids.to_pylist() == ["r0"] * 3 + ["r1"] * 2 + ["r2"] * 2
    assert item_sizes(tokens).tolist() == [3, 2, 2]
    assert (report.rows, report.kept) == (3, 3)


def test_a_text_is_one_turn_of_the_user(tmp_path):
    texts = {**GOOD, "prompt": ["Name three colours.", "Köln?", "€?"]}
    turns = {**GOOD, "prompt": [talk(text) for text in texts["prompt"]]}
    assert rows_of(run(folder(tmp_path, texts))[0]) == rows_of(run(folder(tmp_path / "turns", turns))[0])


@pytest.mark.parametrize(
    ("code", "row", "message"),
    [
        ("bad_ranking", {"train_ranking": [0, 1, 0]}, "train_ranking has 0 more than once"),
        ("bad_ranking", {"train_ranking": [0, 3]}, "train_ranking has 3, and there are 3 responses"),
        ("bad_ranking", {"train_ranking": [-1, 0]}, "train_ranking has -1, and"),
        ("bad_ranking", {"train_ranking": [1]}, "fewer than two answers"),
        ("bad_ranking", {"train_ranking": []}, "fewer than two answers"),
        ("bad_ranking", {"train_ranking": None}, "train_ranking is null"),
        ("bad_ranking", {"train_ranking": [0, None, 1]}, "a null"),
        ("same_answers", {"responses": ["b", "c", "b"]}, "two of the ranked answers are the same"),
        ("empty_answer", {"responses": ["b", "c", " "]}, r"responses\[2\] says nothing"),
        ("empty_answer", {"responses": [None, "c", "d"]}, r"responses\[0\] says nothing"),
        ("no_messages", {"responses": None}, "prompt or responses is null"),
        ("no_messages", {"prompt": None}, "prompt or responses is null"),
        ("no_messages", {"prompt": []}, "or the prompt is empty"),
        ("role_order", {"prompt": talk("a", "b")}, "two turns of the assistant"),
    ],
)
def test_a_bad_row_is_named_and_costs_the_good_ones_nothing(tmp_path, code, row, message):
    path = folder(tmp_path, with_row(**row))
    tokens, report = run(path, scan)
    assert {found: trouble.rows for found, trouble in report.troubles.items()} == {code: ["r3"]}
    assert (report.rows, report.kept, len(tokens.row_ids)) == (4, 3, 7)
    with pytest.raises(HandoffError, match=rf"1 rows \(r3, \.\.\.\): .*{message}"):
        run(path)
    if code in ("bad_ranking", "same_answers", "empty_answer"):
        assert run(path, bad_rows="drop")[1].kept == 3


def test_equal_and_empty_answers_that_the_ranking_leaves_out_do_no_harm(tmp_path):
    columns = with_row(responses=["b", "b", "", "c"], train_ranking=[3, 0])
    assert said(run(folder(tmp_path, columns))[0])[-2:] == ["c", "b"]


def test_a_prompt_is_cut_for_all_of_its_answers_or_the_row_is_lost(tmp_path):
    columns = {
        "prompt": [talk("a"), talk("blue " * 40, "b", "c"), talk("blue " * 60), talk("a")],
        "responses": [["b", "c"], ["d", "blue", "e"], ["f", "g " * 9], ["blue " * 70, "h"]],
        "train_ranking": [[0, 1], [2, 1, 0], [1, 0], [1, 0]],
    }
    path = folder(tmp_path, columns, max_length=60)
    with pytest.raises(HandoffError, match=r"3 rows \(r1, r2, r3, ...\): it has more than 60 tokens"):
        run(path)
    assert item_sizes(run(path, over_long="drop")[0]).tolist() == [2]
    tokens, report = run(path, over_long="truncate_prompt")
    assert {code: found.rows for code, found in report.troubles.items()} == {
        "long_answer": ["r3"],
        "cut_prompt": ["r1", "r2"],
    }
    assert item_sizes(tokens).tolist() == [2, 3, 2]
    prompts = [ids[: mask.index(True)] for ids, mask in rows_of(tokens)]
    assert prompts[2] == prompts[3] == prompts[4], "the turn of forty words is gone for every answer"
    assert prompts[5] == prompts[6]
    assert max(len(ids) for ids, _ in rows_of(tokens)) == 60


def test_a_reward_is_that_of_its_answer(tmp_path):
    path = folder(tmp_path, {**GOOD, "rewards": REWARDS}, loss="pro", reward_gaps=True)
    tokens, _ = run(path)
    assert rewards_of(open_handoff(path), tokens).tolist() == [2.0, 0.5, -1.0, 1.0, 0.0, 4.0, 1.0]


@pytest.mark.parametrize(
    ("rewards", "message"),
    [
        (None, "rewards is null"),
        ([1.0, 2.0], "not one for each of 3 responses"),
        ([1.0, 2.0, None], "is no number"),
        ([1.0, 2.0, float("nan")], "is no number"),
        ([1.0, 0.0, 0.5], "rewards rise along train_ranking"),
    ],
)
def test_rewards_that_do_not_fit_are_refused_where_they_count(tmp_path, rewards, message):
    columns = {**with_row(), "rewards": [*REWARDS, rewards]}
    path = folder(tmp_path, columns, loss="pro", reward_gaps=True)
    with pytest.raises(HandoffError, match=rf"1 rows \(r3, \.\.\.\): .*{message}"):
        run(path)
    tokens, report = run(path, bad_rows="drop")
    assert (report.kept, report.troubles["bad_rewards"].count) == (3, 1)
    assert np.isfinite(rewards_of(open_handoff(path), tokens)).all()
    assert run(path, reward_gaps=False)[1].kept == 4


def test_no_rewards_at_all_is_said(tmp_path):
    path = folder(tmp_path, GOOD)
    with pytest.raises(HandoffError, match="no column rewards: add it, or set reward_gaps: false"):
        rewards_of(open_handoff(path), run(path)[0])
