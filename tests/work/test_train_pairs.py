"""`train: dpo` as a node: the reference as a scorer's table, bad rows, and metrics beside those of SFT."""

from __future__ import annotations

import pytest
from project import Project
from tiny_model import build_tiny_model

from engine.errors import SpecError
from engine.explore.queries import find_query

pytestmark = pytest.mark.slow

SPEC = """
models:
  tiny: {use: transformers, model: tiny, params: {dtype: float32, max_tokens: 4, temperature: 0}}
  other: {use: transformers, model: other, params: {dtype: float32}}
  preferring:
    train: dpo
    base: BASE
    data: pairs
    params: {reference: precomputed, epochs: 2, batch_size: 2, packing: false, max_length: 64, learning_rate: 0.01,
             dtype: float32, MORE}
  ASIDE
tables:
  talk: {source: talk.jsonl}
  pairs:
    source: pairs.jsonl
    params: {shape: preference}
    scores:
      - {score: loglikelihood, model: SCORER, params: {rows: preference}}
"""
ASIDE = """tuned: {train: sft, base: tiny, data: talk, params: {max_steps: 1, max_length: 64, dtype: float32}}
  live:
    train: dpo
    base: tiny
    data: pairs
    params: {reference: live, epochs: 2, batch_size: 2, packing: false, max_length: 64, learning_rate: 0.01,
             dtype: float32, over_long: drop, bad_pairs: drop}"""
SOUND = [{"prompt": f"What is {i} + {i}?", "chosen": f"It is {2 * i}.", "rejected": "No."} for i in range(6)]
BAD = [
    {"prompt": "Same?", "chosen": "So.", "rejected": "So."},
    {"prompt": "Empty?", "chosen": "It is.", "rejected": ""},
    {"prompt": "Long? " * 40, "chosen": "Yes.", "rejected": "No."},
]
DROP = "over_long: drop, bad_pairs: drop"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    build_tiny_model(folder / "tiny")
    build_tiny_model(folder / "other", seed=1)
    return folder


def project(folder, models, rows, *, more=DROP, scorer="tiny", base="tiny", aside=""):
    """A project with these pairs."""
    for name in ("tiny", "other"):
        (folder / name).symlink_to(models / name)
    words = {"BASE": base, "MORE": more, "SCORER": scorer, "ASIDE": aside}
    text = SPEC
    for word, value in words.items():
        text = text.replace(word, value)
    made = Project(folder).spec(text).data(rows, "pairs.jsonl")
    return made.data([{"instruction": f"What is {i}?", "output": "Wide."} for i in range(3)], "talk.jsonl")


@pytest.fixture(scope="module")
def built(tmp_path_factory, models):
    """One with bad rows among its pairs, and trained models beside; built."""
    made = project(tmp_path_factory.mktemp("built"), models, [*SOUND, *BAD], aside=ASIDE)
    assert made.build().exit_code == 0
    return made


def outcome(report, step):
    return {s["step"]: (s["state"], s["detail"]) for s in report.steps}[step]


def test_bad_rows_are_left_out_as_the_spec_says(built):
    assert built.sql("SELECT error FROM errors") == [("rejected: the answer is empty",)]
    trained = built.sql("""SELECT DISTINCT prompt[1].content FROM train_metrics JOIN pairs USING (row_id)
                           WHERE model = 'preferring'""")
    assert sorted(prompt for (prompt,) in trained) == sorted(row["prompt"] for row in SOUND)
    first, *_ = built.sql("SELECT loss, \"rewards/margins\" FROM train_steps WHERE model = 'preferring' ORDER BY step")
    assert first == pytest.approx((0.693147, 0.0), abs=1e-4)
    assert set(built.states().values()) == {"cached"}


def test_a_reference_out_of_the_table_trains_as_a_live_one(built):
    figures = 'loss, "rewards/margins", "logps/chosen", kl'
    course = [
        built.sql(f"SELECT {figures} FROM train_steps WHERE model = '{model}' ORDER BY step")
        for model in ("preferring", "live")
    ]
    assert len(course[0]) == 6
    for out_of_table, live in zip(*course, strict=True):
        assert out_of_table == pytest.approx(live, abs=1e-4)
    assert course[0][-1][0] < 0.6, "it has learnt"


def test_metrics_of_both_trainers_are_one_view(built):
    columns = "model, count(*), count(loss), count(reward_chosen)"
    rows = built.sql(f"SELECT {columns} FROM train_metrics GROUP BY model ORDER BY model")
    assert rows == [("live", 12, 12, 12), ("preferring", 12, 12, 12), ("tuned", 3, 3, 0)]
    steps = built.sql('SELECT model, count("rewards/accuracies") > 0 FROM train_steps GROUP BY model ORDER BY model')
    assert steps == [("live", True), ("preferring", True), ("tuned", False)]
    hurt = built.sql(find_query("rows_that_hurt"))
    assert {row[0] for row in hurt} == {"live", "preferring", "tuned"}
    assert len(hurt) == 6 + 6 + 3, "the last epoch of each"
    assert [row[2] for row in hurt] == sorted((row[2] for row in hurt), reverse=True)
    assert {row[0] for row in built.sql(find_query("training_curve"))} == {"live", "preferring", "tuned"}


def test_bad_rows_are_named_where_the_spec_does_not_say_what_to_do(tmp_path, models):
    made = project(tmp_path, models, [*SOUND, *BAD], more="over_long: error")
    report = made.build()
    state, detail = outcome(report, "preferring")
    assert (report.exit_code, state) == (1, "failed")
    for prompt, code in (("Same?", "same_answers"), ("Empty?", "empty_answer"), ("Long? ", "over_long")):
        ((row,),) = made.sql(f"SELECT row_id FROM pairs WHERE starts_with(prompt[1].content, '{prompt}')")
        assert f"{code}: " in detail
        assert row in detail


def test_a_reference_of_another_model_is_refused(tmp_path, models):
    report = project(tmp_path, models, SOUND, scorer="other").build()
    state, detail = outcome(report, "preferring")
    assert (report.exit_code, state) == (2, "failed")
    assert "are not those of the base" in detail


def test_a_contradiction_is_found_before_anything_runs(tmp_path, models):
    said = r"models\.preferring\.params: .*reference: precomputed doesn't go with loss: simpo"
    with pytest.raises(SpecError, match=said):
        project(tmp_path, models, SOUND, more="loss: simpo").plan()
