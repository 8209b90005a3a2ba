"""Rows to ids and masks: formats, rows that are too long, what the report counts, and transformers' own masks."""

import numpy as np
import pytest
from handoff_folders import talk, tokenizer_of, write

from trainers.config import SftConfig, from_params
from trainers.data.folder import open_handoff
from trainers.data.tokens import load_tokenizer, scan, tokenise
from trainers.errors import HandoffError


def run(folder, read=tokenise, **params):
    handoff = open_handoff(folder)
    config = from_params(SftConfig, {**handoff.params, **params})
    return read(handoff, load_tokenizer(handoff.base, config.chat_template), config)


def rows_of(tokens):
    return [tokens.ids[a:b].tolist() for a, b in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)]


def test_a_completion_is_tokenised_with_its_prompt_and_split_by_offsets(tmp_path):
    tokenizer = tokenizer_of("marked")
    folder = write(tmp_path / "h", {"prompt": ["It is"], "completion": [" 42 — Köln."]}, tokenizer, format="completion")
    tokens, report = run(folder)
    prompt, whole = (tokenizer(t, add_special_tokens=False).input_ids for t in ("It is", "It is 42 — Köln.<|im_end|>"))
    assert rows_of(tokens) == [whole]
    assert tokens.mask.tolist() == [False] * len(prompt) + [True] * (len(whole) - len(prompt))
    assert report.masking == "completion"


def test_a_prompt_that_has_other_ids_alone_is_refused(tmp_path):
    columns = {"prompt": ["It is", "What is ", ""], "completion": [" 42.", "12 + 30?", "It is 42."]}
    folder = write(tmp_path / "h", columns, tokenizer_of("marked"), format="completion")
    tokens, report = run(folder, scan)  # " 12" is one token or begins with one: "What is " alone ends in another
    assert tokens.row_ids.to_pylist() == ["r0", "r2"]
    assert report.troubles["seam"].rows == ["r1"]


def test_an_answer_that_joins_its_header_is_refused(tmp_path):
    header = "{% for m in messages %}{{ m['role'] }}:{% generation %}{{ m['content'] }}{% endgeneration %}{% endfor %}"
    rows = [talk("a", " It is 42."), talk("a", "It is 42.")]  # byte-level BPE begins words with their space
    joins = header.replace("}}:", "}}: ")
    _, report = run(write(tmp_path / "h", {"messages": rows}, tokenizer_of("marked", joins)), scan)
    assert (report.kept, report.troubles["seam"].rows) == (1, ["r1"])


def test_both_formats_keep_the_order_of_the_rows(tmp_path):
    columns = {
        "messages": [talk("a", "b"), None, talk("c", "d")],
        "prompt": [None, "It is", None],
        "completion": [None, " 42.", None],
    }
    tokens, _ = run(write(tmp_path / "h", columns, tokenizer_of("marked"), format="both"))
    assert tokens.row_ids.to_pylist() == ["r0", "r1", "r2"]
    loaded = tokenizer_of("marked")
    assert [loaded.decode(row)[-17:] for row in rows_of(tokens)][1] == "It is 42.<|im_end|>"[-17:]


def test_training_on_all_masks_nothing(tmp_path):
    tokens, report = run(write(tmp_path / "h", {"messages": [talk("a", "b")]}, tokenizer_of("chatml"), train_on="all"))
    assert tokens.mask.all()
    assert report.masking == "all"


LONG = {"messages": [talk("a", "b"), talk("a", "blue " * 40), talk("blue " * 40, "b")]}


def test_over_long_rows_end_the_run_by_default(tmp_path):
    with pytest.raises(HandoffError, match=r"2 rows \(r1, r2, ...\): it has more than 30 tokens"):
        run(write(tmp_path / "h", LONG, tokenizer_of("marked"), max_length=30))


def test_over_long_rows_are_dropped(tmp_path):
    tokens, report = run(write(tmp_path / "h", LONG, tokenizer_of("marked"), max_length=30, over_long="drop"))
    assert tokens.row_ids.to_pylist() == ["r0"]
    assert (report.rows, report.kept, report.over_long) == (3, 1, 2)


def test_a_cut_row_without_a_target_left_is_counted_and_left_out(tmp_path):
    tokens, report = run(write(tmp_path / "h", LONG, tokenizer_of("marked"), max_length=30, over_long="truncate"))
    assert tokens.row_ids.to_pylist() == ["r0", "r1"]
    assert np.diff(tokens.offsets).tolist()[1] == 30
    assert report.troubles["cut_to_nothing"].rows == ["r2"]


def test_bad_rows_cost_the_good_ones_nothing_in_a_scan(tmp_path):
    rows = [talk("a", "b"), None, [{"role": "assistant", "content": "c"}], talk("d", "e")]
    folder = write(tmp_path / "h", {"messages": rows}, tokenizer_of("marked"))
    tokens, report = run(folder, scan)
    assert tokens.row_ids.to_pylist() == ["r0", "r3"]
    assert {code: t.rows for code, t in report.troubles.items()} == {"no_messages": ["r1"], "role_order": ["r2"]}
    with pytest.raises(HandoffError, match="preflight"):
        run(folder)


def test_masks_equal_those_of_transformers(tmp_path):
    rows = [talk("Name three colours.", "Red, blue.", "More?", "Köln — €."), talk("12 + 30?", "42")]
    tokenizer = tokenizer_of("marked")
    tokens, _ = run(write(tmp_path / "h", {"messages": rows}, tokenizer))
    expected = tokenizer.apply_chat_template(
        rows, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )  # what TRL's assistant_only_loss asks for
    assert rows_of(tokens) == expected["input_ids"]
    assert tokens.mask.astype(int).tolist() == [m for row in expected["assistant_masks"] for m in row]
