"""The pre-flight of rankings: every ranked answer as the model sees it, and bad rows by their names."""

from __future__ import annotations

import json

from handoff_folders import talk, tokenizer_of, write

from trainers import preflight

GOOD = {
    "prompt": [talk("Name three colours."), talk("12 + 30?"), talk("€?"), talk("a")],
    "responses": [["Red.", "Blue.", "Red, blue."], ["42", "30"], ["a", "b", "c"], ["b", "c"]],
    "train_ranking": [[2, 0, 1], [0, 1], [2, 1], [1, 0]],
}


def checked(path, columns, **params):
    folder = write(path / "h", columns, tokenizer_of("marked"), trainer="rank", **params)
    code = preflight.main([str(folder)])
    report = json.loads((folder / "preflight.json").read_text(encoding="utf-8"))
    assert code == (0 if report["passed"] else 1)
    return report, (folder / "preflight.md").read_text(encoding="utf-8")


def test_rankings_pass_with_three_examples_of_all_their_answers(tmp_path):
    report, page = checked(tmp_path, GOOD)
    assert (report["rows"], report["kept"], report["problems"]) == (4, 4, [])
    shown = [(example["row_id"], example["answer"]) for example in report["examples"]]
    assert shown == [(f"r{row}", f"rank {i + 1}") for row, count in ((0, 3), (1, 2), (2, 2)) for i in range(count)]
    scored = [[text for text, target in example["pieces"] if target] for example in report["examples"]]
    assert scored[:3] == [["Red, blue.<|im_end|>"], ["Red.<|im_end|>"], ["Blue.<|im_end|>"]]
    assert "`r0`, rank 3" in page


def test_bad_rankings_are_refused_or_known(tmp_path):
    columns = {name: [*values, values[0]] for name, values in GOOD.items()}
    columns["train_ranking"][4] = [0, 7]
    report, _ = checked(tmp_path, columns)
    (problem,) = report["problems"]
    assert (problem["code"], problem["rows"]) == ("bad_ranking", ["r4"])
    assert "bad_rows: drop" in problem["cure"]
    report, _ = checked(tmp_path / "dropped", columns, bad_rows="drop")
    assert (report["passed"], report["kept"]) == (True, 4)
    assert [warning["code"] for warning in report["warnings"]] == ["bad_ranking"]


def test_rewards_are_checked_where_they_count(tmp_path):
    columns = {**GOOD, "rewards": [[0.0, -1.0, 1.0], [1.0, 2.0], [None, 0.0, 1.0], [0.0, 1.0]]}
    assert checked(tmp_path / "plain", columns)[0]["passed"]
    report, _ = checked(tmp_path / "gaps", columns, loss="pro", reward_gaps=True)
    (problem,) = report["problems"]
    assert (problem["code"], problem["rows"]) == ("bad_rewards", ["r1"])
