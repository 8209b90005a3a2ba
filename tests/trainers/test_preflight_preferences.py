"""The pre-flight of preferences: both answers of a pair as the model sees them, and tables of other references."""

from __future__ import annotations

import json

import pytest
from handoff_folders import talk, tokenizer_of, write

from trainers import preflight

GOOD = {
    "prompt": [talk("Name three colours."), talk("12 + 30?"), talk("€?"), talk("a")],
    "chosen": [[{"role": "assistant", "content": text}] for text in ("Red.", "42", "b", "c")],
    "rejected": [[{"role": "assistant", "content": text}] for text in ("Blue.", "30", "c", "d")],
}


def checked(path, columns, **params):
    folder = write(path / "h", columns, tokenizer_of("marked"), trainer="dpo", **params)
    code = preflight.main([str(folder)])
    report = json.loads((folder / "preflight.json").read_text(encoding="utf-8"))
    assert code == (0 if report["passed"] else 1)
    return report, (folder / "preflight.md").read_text(encoding="utf-8")


def test_pairs_pass_with_three_examples_of_both_answers(tmp_path):
    report, page = checked(tmp_path, GOOD)
    assert (report["rows"], report["kept"], report["problems"]) == (4, 4, [])
    shown = [(example["row_id"], example["answer"]) for example in report["examples"]]
    assert shown == [(f"r{i}", answer) for i in range(3) for answer in ("chosen", "rejected")]
    scored = [[text for text, target in example["pieces"] if target] for example in report["examples"]]
    assert scored[:2] == [["Red.<|im_end|>"], ["Blue.<|im_end|>"]]
    assert "`r0`, rejected" in page
    assert "⟦Blue.<|im_end|>⟧" in page


def test_bad_pairs_are_refused_or_known(tmp_path):
    columns = {name: [*values, values[0]] for name, values in GOOD.items()}
    columns["rejected"][4] = columns["chosen"][4]
    report, _ = checked(tmp_path, columns)
    (problem,) = report["problems"]
    assert (problem["code"], problem["rows"]) == ("same_answers", ["r4"])
    assert "bad_pairs: drop" in problem["cure"]
    report, _ = checked(tmp_path / "dropped", columns, bad_pairs="drop")
    assert report["passed"]
    assert [warning["code"] for warning in report["warnings"]] == ["same_answers"]
    assert report["kept"] == 4


def test_single_answers_pass_too(tmp_path):
    columns = {"prompt": GOOD["prompt"], "completion": GOOD["chosen"], "label": [True, False, True, True]}
    report, _ = checked(tmp_path, columns, loss="kto")
    assert (report["passed"], report["kept"], len(report["examples"])) == (True, 4, 3)
    assert [example["answer"] for example in report["examples"]] == ["completion"] * 3


def test_a_row_with_two_wrong_answers_is_counted_once(tmp_path):
    template = (
        "{% for m in messages %}{{ m['role'] }}:{% generation %}{{ m['content'] }}{% endgeneration %}"
        "{% if not loop.last %}{{ '<|im_end|>' }}{% endif %}{% endfor %}"
    )
    report, _ = checked(tmp_path, GOOD, chat_template=template)
    (problem,) = report["problems"]
    assert (problem["code"], problem["rows"], problem["count"]) == ("end_of_turn", ["r0", "r1", "r2", "r3"], 4)


@pytest.mark.parametrize(("off", "passes"), [(0, True), (1, False)])
def test_the_table_of_the_reference_is_held_against_the_tokens(tmp_path, off, passes):
    tokenizer = tokenizer_of("marked")
    chosen, rejected = (
        [len(tokenizer(f"{text}<|im_end|>", add_special_tokens=False).input_ids) for text in texts]
        for texts in (("Red.", "42", "b", "c"), ("Blue.", "30", "c", "d"))
    )
    table = {
        "ref_chosen_logp": [-1.0] * 4,
        "ref_rejected_logp": [-1.0] * 4,
        "ref_chosen_tokens": chosen,
        "ref_rejected_tokens": [rejected[0], rejected[1] + off, *rejected[2:]],
    }
    report, _ = checked(tmp_path, {**GOOD, **table}, reference="precomputed")
    assert report["passed"] == passes
    if off:
        assert [problem["code"] for problem in report["problems"]] == ["other_reference"]
        assert "(r1, ...;" in report["problems"][0]["message"]


def test_a_trainer_that_nobody_knows(tmp_path):
    folder = write(tmp_path / "h", GOOD, tokenizer_of("marked"), trainer="rlhf")
    assert preflight.main([str(folder)]) == 1
    (problem,) = json.loads((folder / "preflight.json").read_text(encoding="utf-8"))["problems"]
    assert "names the trainer 'rlhf'" in problem["message"]
