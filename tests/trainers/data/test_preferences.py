"""Rows of preferences to tokens: what is scored, what is refused, how prompts are cut, and answers to other prompts."""

from __future__ import annotations

import numpy as np
import pytest
from handoff_folders import TEMPLATES, talk, tokenizer_of, write

from trainers.config import DpoConfig, from_params
from trainers.data.folder import open_handoff
from trainers.data.mismatched import mismatched
from trainers.data.recorded import labels, references
from trainers.data.tokens import load_tokenizer, scan, tokenise
from trainers.errors import HandoffError


def says(text, role="assistant"):
    return [{"role": role, "content": text}]


def asks(text):
    return says(text, "user")


GOOD = {
    "prompt": [asks("Name three colours."), talk("12 + 30?", "42", "And Köln?", system="Be brief."), asks("€?")],
    "chosen": [says("Red, blue and yellow."), says("It liegt am Rhein."), says("42")],
    "rejected": [says("Red."), says("It is 42."), says("No — it is 30.")],
}


def folder(path, columns, family="marked", template=None, **params):
    return write(path / "h", columns, tokenizer_of(family, template), trainer="dpo", **params)


def run(folder, read=tokenise, **params):
    handoff = open_handoff(folder)
    config = from_params(DpoConfig, {**handoff.params, **params})
    return read(handoff, load_tokenizer(handoff.base, config.chat_template), config)


def rows_of(tokens):
    spans = zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    return [(tokens.ids[a:b].tolist(), tokens.mask[a:b].tolist()) for a, b in spans]


def with_row(**row):
    return {name: [*values, row[name]] for name, values in GOOD.items()}


@pytest.mark.parametrize("family", ["llama3", "chatml", "marked", "gemma", "mistral"])
def test_an_answer_alone_is_scored_and_reads_back_with_its_end(tmp_path, family):
    columns = {name: values[::2] if family in ("gemma", "mistral") else values for name, values in GOOD.items()}
    tokens, report = run(folder(tmp_path, columns, family))
    tokenizer = tokenizer_of(family)
    answers = [
        part[i][0]["content"]
        for i in range(len(columns["prompt"]))
        for part in (columns["chosen"], columns["rejected"])
    ]
    assert tokens.row_ids.to_pylist() == [f"r{i}" for i in range(len(columns["prompt"])) for _ in range(2)]
    assert (report.rows, report.kept) == (len(answers) // 2, len(answers) // 2)
    for (ids, mask), answer in zip(rows_of(tokens), answers, strict=True):
        scored = tokenizer.decode([i for i, target in zip(ids, mask, strict=True) if target])
        assert scored.strip() == answer + tokenizer.eos_token
        assert np.abs(np.diff(mask, append=False)).sum() == 2  # one run


def test_ids_are_those_of_the_template_as_a_whole(tmp_path):
    tokens, _ = run(folder(tmp_path, GOOD))
    tokenizer = tokenizer_of("marked")
    expected = [
        tokenizer.apply_chat_template([*prompt, *answer], tokenize=True, return_dict=True)["input_ids"]
        for prompt, *pair in zip(*GOOD.values(), strict=True)
        for answer in pair
    ]
    assert [ids for ids, _ in rows_of(tokens)] == expected


@pytest.mark.parametrize(
    ("code", "row"),
    [
        ("same_answers", {"prompt": asks("a"), "chosen": says("b"), "rejected": says("b")}),
        ("empty_answer", {"prompt": asks("a"), "chosen": says("b"), "rejected": says("  ")}),
        ("empty_answer", {"prompt": asks("a"), "chosen": [], "rejected": says("b")}),
        ("no_messages", {"prompt": asks("a"), "chosen": None, "rejected": says("b")}),
        ("no_messages", {"prompt": None, "chosen": says("a"), "rejected": says("b")}),
        ("no_messages", {"prompt": [], "chosen": says("a"), "rejected": says("b")}),
        ("role_order", {"prompt": talk("a", "b"), "chosen": says("c"), "rejected": says("d")}),
        ("fully_masked", {"prompt": talk("a", "b"), "chosen": asks("c"), "rejected": asks("d")}),
    ],
)
def test_a_bad_row_is_named_and_costs_the_good_ones_nothing(tmp_path, code, row):
    path = folder(tmp_path, with_row(**row))
    tokens, report = run(path, scan)
    assert {found: trouble.rows for found, trouble in report.troubles.items()} == {code: ["r3"]}
    assert (report.rows, report.kept, len(tokens.row_ids)) == (4, 3, 6)
    with pytest.raises(HandoffError, match=r"1 rows \(r3"):
        run(path)
    if code in ("same_answers", "empty_answer"):
        assert run(path, bad_pairs="drop")[1].kept == 3


def test_answers_that_the_template_makes_the_same_are_the_same(tmp_path):
    template = (
        (TEMPLATES / "marked.jinja")
        .read_text(encoding="utf-8")
        .replace("message['content'] +", "message['content'] | trim +")
    )
    path = folder(tmp_path, with_row(prompt=asks("a"), chosen=says("b"), rejected=says("b ")), template=template)
    assert run(path, scan)[1].troubles["same_answers"].rows == ["r3"]


LONG = {
    "prompt": [asks("a"), talk("blue " * 40, "b", "c", "d", "e"), asks("blue " * 60), asks("a"), talk("a", "b", "c")],
    "chosen": [says("b"), says("f"), says("g"), says("blue " * 70), says("x")],
    "rejected": [says("c"), says("blue"), says("h"), says("d"), says("y")],
}


def test_rows_over_the_window_end_the_run_or_are_dropped(tmp_path):
    path = folder(tmp_path, LONG, max_length=60)
    with pytest.raises(HandoffError, match=r"3 rows \(r1, r2, r3, ...\): it has more than 60 tokens"):
        run(path)
    tokens, report = run(path, over_long="drop")
    assert tokens.row_ids.to_pylist() == ["r0", "r0", "r4", "r4"]
    assert (report.over_long, report.kept) == (3, 2)


def test_a_prompt_is_cut_where_a_turn_begins_or_else_from_its_left(tmp_path):
    path = folder(tmp_path, LONG, max_length=60, over_long="truncate_prompt")
    tokens, report = run(path)
    tokenizer = tokenizer_of("marked")
    rows, whole = rows_of(tokens), [ids for ids, _ in rows_of(run(path, max_length=200, over_long="error")[0])]
    assert tokens.row_ids.to_pylist() == [f"r{i}" for i in (0, 1, 2, 4) for _ in range(2)]
    assert (report.kept, report.over_long, report.cut) == (4, 3, 2)
    assert {code: found.rows for code, found in report.troubles.items()} == {
        "long_answer": ["r3"],
        "cut_prompt": ["r1", "r2"],
    }
    for row, answer in ((2, "f"), (3, "blue")):  # the turn of thirty words is gone, and the one after it stays
        kept = tokenizer.apply_chat_template([*talk("c", "d", "e"), *says(answer)], tokenize=True, return_dict=True)
        assert rows[row][0] == kept["input_ids"]
    prompts = []
    for row in (4, 5):  # one long turn: its end stays, the same for both answers
        ids, mask = rows[row]
        assert ids == whole[row][-len(ids) :]
        prompts.append(ids[: mask.index(True)])
    assert prompts[0] == prompts[1]
    assert max(len(rows[row][0]) for row in (4, 5)) == 60
    assert [row for row, _ in (rows[0], rows[-1])] == [whole[0], whole[-1]]


def test_the_system_turn_outlives_a_cut(tmp_path):
    columns = {
        "prompt": [talk("blue " * 40, "b", "c", system="Be brief.")],
        "chosen": [says("d")],
        "rejected": [says("e")],
    }
    tokens, _ = run(folder(tmp_path, columns, max_length=60, over_long="truncate_prompt"))
    text = tokenizer_of("marked").decode(rows_of(tokens)[0][0])
    assert "Be brief." in text
    assert "blue" not in text


FEEDBACK = {
    "prompt": [asks("a"), asks("Name three colours."), asks("€?"), asks("e")],
    "completion": [says("b"), says("Red, blue and yellow."), says("No."), says("It is 42.")],
    "label": [True, True, False, True],
}


def test_single_answers_have_a_row_each_and_labels_by_their_ids(tmp_path):
    columns = {name: [*values, None if name == "label" else values[0]] for name, values in FEEDBACK.items()}
    path = folder(tmp_path, columns, loss="kto")
    tokens, report = run(path, scan)
    assert report.troubles["no_label"].rows == ["r4"]
    assert tokens.row_ids.to_pylist() == ["r0", "r1", "r2", "r3"]
    assert labels(open_handoff(path), tokens).tolist() == FEEDBACK["label"]


def test_other_prompts_get_every_answer_once_and_never_their_own(tmp_path):
    tokens, _ = run(folder(tmp_path, FEEDBACK, loss="kto"))
    own, others = rows_of(tokens), rows_of(mismatched(tokens, 3, 2048))

    def parts(row):
        ids, mask = row
        return tuple(ids[: mask.index(True)]), tuple(ids[mask.index(True) :])

    assert [parts(row)[0] for row in others] == [parts(row)[0] for row in own]
    assert sorted(parts(row)[1] for row in others) == sorted(parts(row)[1] for row in own)
    assert all(parts(one)[1] != parts(other)[1] for one, other in zip(own, others, strict=True))
    short = rows_of(mismatched(tokens, 3, max(len(ids) for ids, _ in own)))
    assert all(any(mask) for _, mask in short)
    assert max(len(ids) for ids, _ in short) <= max(len(ids) for ids, _ in own)


def test_one_row_has_no_other_prompt(tmp_path):
    one = {name: values[:1] for name, values in FEEDBACK.items()}
    tokens, _ = run(folder(tmp_path, one, loss="kto"))
    with pytest.raises(HandoffError, match="one row alone"):
        mismatched(tokens, 3, 2048)


def table(tokens, **changes):
    """Columns of a reference that fit these tokens, but for the changes."""
    counts = np.array([sum(mask) for _, mask in rows_of(tokens)]).reshape(-1, 2)
    given = {
        "ref_chosen_logp": [-1.5, -2.5, -3.5],
        "ref_rejected_logp": [-4.0, -5.0, -6.0],
        "ref_chosen_tokens": counts[:, 0].tolist(),
        "ref_rejected_tokens": counts[:, 1].tolist(),
    }
    return {**GOOD, **given, **changes}


def test_a_table_of_the_reference_is_read_row_by_row(tmp_path):
    tokens, _ = run(folder(tmp_path / "plain", GOOD))
    path = folder(tmp_path, table(tokens), reference="precomputed")
    found = references(open_handoff(path), tokens, DpoConfig(reference="precomputed"))
    assert found.tolist() == [-1.5, -4.0, -2.5, -5.0, -3.5, -6.0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ref_chosen_tokens": [9, 99, 9]}, r"another number of tokens .*\(r0, r1, r2, \.\.\.; of the first \d+, and"),
        ({"ref_rejected_logp": [-1.0, None, -1.0]}, r"1 answers have no log-probability under the reference \(r1, "),
        ({"ref_rejected_logp": [-1.0, float("nan"), -1.0]}, r"no log-probability under the reference \(r1, "),
    ],
)
def test_a_table_of_other_tokens_is_refused(tmp_path, change, said):
    tokens, _ = run(folder(tmp_path / "plain", GOOD))
    path = folder(tmp_path, table(tokens, **change), reference="precomputed")
    with pytest.raises(HandoffError, match=said):
        references(open_handoff(path), tokens, DpoConfig(reference="precomputed"))


def test_no_table_of_the_reference_is_said(tmp_path):
    path = folder(tmp_path, GOOD, reference="precomputed")
    with pytest.raises(HandoffError, match="no column ref_chosen_logp, ref_rejected_logp"):
        references(open_handoff(path), run(path)[0], DpoConfig(reference="precomputed"))
