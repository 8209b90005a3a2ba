"""`train: rank` as a node: columns out of SQL, bad rows, metrics beside the table, and a model that answers."""

from __future__ import annotations

import pytest
from project import Project
from tiny_model import build_tiny_model

from engine.errors import SpecError

pytestmark = pytest.mark.slow

SPEC = """
models:
  tiny: {use: transformers, model: tiny, params: {dtype: float32, max_tokens: 4, temperature: 0}}
  ranked:
    train: rank
    base: tiny
    data: judged
    columns: {train_ranking: blackbox_ranking}
    params: {loss: LOSS, epochs: 4, batch_size: 2, packing: false, max_length: 64, learning_rate: 0.01, dtype: float32,
             bad_rows: BAD}
tables:
  raw: {source: data.jsonl}
  judged: {sql: "SELECT row_id, prompt, responses, blackbox_ranking::TINYINT[] AS blackbox_ranking FROM raw"}
  answered: {generate: respond, model: ranked, from: judged}
"""
SOUND = [
    {
        "prompt": f"What is {i} + {i}?",
        "responses": ["No.", f"It is {2 * i}.", "The sea is wide.", "red"],
        "blackbox_ranking": [1, 2, 0] if i % 2 else [1, 0],
    }
    for i in range(6)
]
BAD = [
    {"prompt": "Twice?", "responses": ["So.", "No."], "blackbox_ranking": [1, 1]},
    {"prompt": "Unparseable?", "responses": ["So.", "No."], "blackbox_ranking": None},
]


def project(folder, rows, loss="rrhf", bad="drop"):
    build_tiny_model(folder / "tiny")
    return Project(folder).spec(SPEC.replace("LOSS", loss).replace("BAD", bad)).data(rows)


@pytest.mark.parametrize("loss", ["rrhf", "pro"])
def test_a_ranking_out_of_a_table_trains_a_model_that_answers(tmp_path, loss):
    made = project(tmp_path, [*SOUND, *BAD], loss)
    assert made.build().exit_code == 0
    rows = made.sql("""SELECT prompt, count(*), first(n_tokens ORDER BY epoch), last(rank_accuracy ORDER BY epoch)
                       FROM train_metrics JOIN judged USING (row_id) WHERE model = 'ranked' GROUP BY prompt""")
    assert sorted(row[:2] for row in rows) == [(row["prompt"], 4) for row in SOUND]
    assert all(accuracy == 1 for *_, accuracy in rows)
    course = made.sql("SELECT loss, rank_accuracy, score_best FROM train_steps WHERE model = 'ranked' ORDER BY step")
    assert len(course) == 12
    assert course[-1][0] < course[0][0]
    assert course[-1][2] > course[0][2]
    assert made.sql("SELECT count(*) FROM answered") == [(8,)]
    assert set(made.states().values()) == {"cached"}


def test_bad_rows_are_named_where_the_spec_does_not_say_what_to_do(tmp_path):
    made = project(tmp_path, [*SOUND, *BAD], bad="error")
    report = made.build()
    (detail,) = [step["detail"] for step in report.steps if step["step"] == "ranked"]
    assert report.exit_code == 1
    assert "bad_ranking: " in detail
    for prompt in ("Twice?", "Unparseable?"):
        assert made.sql(f"SELECT row_id FROM judged WHERE prompt = '{prompt}'")[0][0] in detail


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("blackbox_ranking::TINYINT[]", "blackbox_ranking::VARCHAR[]", r"list<integer>"),
        ("loss: LOSS", "loss: LOSS, reward_gaps: true", "reward_gaps: means nothing to loss: rrhf, only to pro"),
    ],
)
def test_what_can_not_train_is_found_before_anything_runs(tmp_path, old, new, said):
    made = Project(tmp_path).data(SOUND)
    with pytest.raises(SpecError, match=said):
        made.spec(SPEC.replace(old, new).replace("LOSS", "rrhf").replace("BAD", "drop")).plan()
