"""The pre-flight as a command: what passes, what is refused with which message, and what it leaves in the folder."""

import hashlib
import json
import subprocess
import sys

import pytest
from handoff_folders import TEMPLATES, talk, tokenizer_of, write

from trainers import preflight
from trainers.data.folder import open_handoff


def checked(folder):
    """The report of a folder, as the command leaves it."""
    code = preflight.main([str(folder)])
    report = json.loads((folder / "preflight.json").read_text(encoding="utf-8"))
    assert code == (0 if report["passed"] else 1)
    return report


def refusals(folder):
    report = checked(folder)
    assert all(problem["cure"] and problem["message"] for problem in report["problems"])
    return {problem["code"]: problem["rows"] for problem in report["problems"]}


GOOD = {"messages": [talk("a", "Red."), talk("b", "Blue.", "c", "Yellow."), talk("d", "42"), talk("e", "f")]}


def test_a_good_folder_passes_with_counts_examples_and_hashes(tmp_path):
    folder = write(tmp_path / "h", GOOD, tokenizer_of("marked"))
    done = subprocess.run(
        [sys.executable, "-m", "trainers.preflight", folder], capture_output=True, text=True, check=True
    )
    report = json.loads((folder / "preflight.json").read_text(encoding="utf-8"))
    assert (report["rows"], report["kept"], report["masking"], done.stderr) == (4, 4, "generation", "")
    pieces = report["examples"][1]["pieces"]
    assert [text for text, target in pieces if target] == ["Blue.<|im_end|>", "Yellow.<|im_end|>"]
    page = (folder / "preflight.md").read_text(encoding="utf-8")
    assert page.startswith("# Pre-flight of t: passed")
    assert "⟦Blue.<|im_end|>⟧" in page
    template = (TEMPLATES / "marked.jinja").read_text(encoding="utf-8")
    assert open_handoff(folder).hashes["template"] == hashlib.sha256(template.encode()).hexdigest()


def test_a_template_without_markers_passes_where_prefixes_hold(tmp_path):
    assert checked(write(tmp_path / "h", GOOD, tokenizer_of("chatml")))["masking"] == "prefix"


def test_a_template_without_markers_is_refused_where_they_do_not(tmp_path):
    text = (TEMPLATES / "chatml.jinja").read_text(encoding="utf-8")
    forgetful = text.replace(
        "message['content'] +", "(message['content'] if loop.last or message['role'] == 'user' else '') +"
    )
    assert refusals(write(tmp_path / "h", GOOD, tokenizer_of("chatml", forgetful))) == {"prefix_mismatch": ["r1"]}


def test_a_double_beginning_of_text(tmp_path):
    doubled = "{{ bos_token }}" + (TEMPLATES / "gemma.jinja").read_text(encoding="utf-8")
    assert refusals(write(tmp_path / "h", GOOD, tokenizer_of("gemma", doubled))) == {
        "double_bos": ["r0", "r1", "r2", "r3"]
    }


def test_all_tokens_masked(tmp_path):
    rows = [*GOOD["messages"], [{"role": "user", "content": "alone"}]]
    assert refusals(write(tmp_path / "h", {"messages": rows}, tokenizer_of("marked"))) == {"fully_masked": ["r4"]}


@pytest.mark.parametrize(
    ("over_long", "problems", "warnings"),
    [("error", {"over_long"}, set()), ("drop", set(), {"over_long"}), ("truncate", set(), {"over_long", "cut_answer"})],
)
def test_an_answer_that_truncation_cuts(tmp_path, over_long, problems, warnings):
    rows = [*GOOD["messages"], talk("a", "blue " * 60)]
    folder = write(tmp_path / "h", {"messages": rows}, tokenizer_of("marked"), max_length=64, over_long=over_long)
    report = checked(folder)
    assert (report["over_long"], report["truncated"]) == (1, int(over_long == "truncate"))
    assert {problem["code"] for problem in report["problems"]} == problems
    assert {warning["code"] for warning in report["warnings"]} == warnings
    assert all(found["rows"] == ["r4"] for found in report["problems"] + report["warnings"])


def test_roles_out_of_order(tmp_path):
    rows = [[{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}], talk("a", "b", system="s")]
    assert refusals(write(tmp_path / "h", {"messages": rows}, tokenizer_of("mistral"))) == {
        "role_order": ["r0"],
        "template_refuses": ["r1"],
        "nothing_left": [],
    }


def test_an_end_of_text_that_is_the_pad(tmp_path):
    report = checked(write(tmp_path / "h", GOOD, tokenizer_of("marked", pad="<|im_end|>")))
    (warning,) = report["warnings"]
    assert warning["code"] == "eos_is_pad"
    assert "never teaches the model to end" in warning["message"]
    assert report["passed"]  # masks are made by position here


def test_an_end_of_turn_outside_of_the_targets(tmp_path):
    text = (TEMPLATES / "marked.jinja").read_text(encoding="utf-8")
    outside = text.replace("message['content'] + '<|im_end|>' }}\n{%- endgen", "message['content'] }}\n{%- endgen")
    assert outside != text
    assert set(refusals(write(tmp_path / "h", GOOD, tokenizer_of("marked", outside)))) == {"end_of_turn"}


def test_an_end_of_turn_outside_of_the_last_answer_alone(tmp_path):
    text = (TEMPLATES / "marked.jinja").read_text(encoding="utf-8")
    end = "{% if not loop.last %}{{- '<|im_end|>' }}{% endif %}"
    last = text.replace(
        "message['content'] + '<|im_end|>' }}\n{%- endgen", "message['content'] }}" + end + "{%- endgen"
    )
    assert refusals(write(tmp_path / "h", GOOD, tokenizer_of("marked", last)))["end_of_turn"] == [
        "r0",
        "r1",
        "r2",
        "r3",
    ]


def test_no_chat_template(tmp_path):
    report = checked(write(tmp_path / "h", GOOD, tokenizer_of("marked", "")))
    (problem,) = report["problems"]
    assert "has no chat template" in problem["message"]


def test_changed_data_can_not_be_checked(tmp_path, capsys):
    folder = write(tmp_path / "h", GOOD, tokenizer_of("marked"))
    with (folder / "data" / "part-00000.parquet").open("ab") as data:
        data.write(b"x")
    assert preflight.main([str(folder)]) == 2
    assert "isn't as it was written" in capsys.readouterr().err
