"""The search inside the engine: what a failure costs, what a second build asks, and real seeds behind a real server."""

from __future__ import annotations

from pathlib import Path

import pytest
from project import Project

SEEDS = Path(__file__).parents[3] / "../shared/data/instructions/self_instruct_seed.parquet"
SPEC = """
models:
  script: {{use: scripted, params: {{default: "{{last_user}}"}}}}
  judge: {{use: scripted, params: {{faults: [{faults}]}}}}
tables:
  seeds: {{source: data.jsonl, params: {{shape: raw}}}}
  tree_nodes:
    generate: ultraprompt
    from: seeds
    models: {{rewriter: script, responder: script, reward: judge}}
    params: {{{params} prompts: {{rewrite: "{{instruction}} ({{principle}})", answer: "{{instruction}}"}}}}
"""
ROWS = [{"instruction": f"Question {i}?", "category": category} for i, category in enumerate(["Math", "Honesty", None])]
TREES = "SELECT meta, index, action, instruction, visits, local_rewards FROM tree_nodes ORDER BY meta, index"


def project(folder: Path, faults: str = "", params: str = "") -> Project:
    folder.mkdir(exist_ok=True)
    return Project(folder).spec(SPEC.format(faults=faults, params=params)).data(ROWS)


def test_what_a_failing_judge_interrupts_is_the_tree_of_an_unbroken_build(tmp_path):
    """One judgement in nine is given up. The next build asks what was not answered, and nothing else."""
    whole = project(tmp_path / "whole")
    assert whole.build().exit_code == 0
    broken = project(tmp_path / "broken", "{kind: 500, every: 9, times: always}")
    assert broken.build().exit_code == 1
    assert broken.sql("SELECT count(*), count(DISTINCT row_id) FROM errors") == [(3, 3)]
    assert broken.sql("SELECT count(*) FROM tree_nodes") == [(0,)]
    answered = broken.calls()
    mended = project(tmp_path / "broken")
    assert mended.build().exit_code == 0
    assert mended.sql(TREES) == whole.sql(TREES)
    assert 0 < answered < mended.calls() == whole.calls()


def test_a_whole_tree_asks_twenty_rewrites_and_twenty_one_times_three_answers_and_rewards(tmp_path):
    """Rewards of the same answer are one call, so they may be fewer; this script's answers repeat their instruction."""
    trees = project(tmp_path)
    trees.build()
    kinds = dict(trees.sql("SELECT kind, count(*) FROM calls GROUP BY kind"))
    assert (kinds["chat"], kinds["generate"]) == (3 * 20, 3 * 63)
    assert kinds["reward"] == trees.sql("SELECT count(DISTINCT instruction) FROM tree_nodes")[0][0]
    assert trees.sql("SELECT DISTINCT is_success, next_iter, len(failures) FROM tree_nodes") == [(True, 20, 0)]


def test_a_tree_is_kept_as_far_as_it_has_grown(tmp_path):
    trees = project(tmp_path, "{kind: 500, match: objective, times: always}", "on_failure: keep,")
    assert trees.build().exit_code == 0
    assert trees.sql("SELECT count(*) FROM errors") == [(0,)]
    found = trees.sql(
        "SELECT category, is_success, count(*) - 1 = any_value(next_iter), any_value(failures) FROM tree_nodes "
        "GROUP BY category, is_success ORDER BY category"
    )
    assert [(category, whole) for category, whole, *_ in found] == [("Honesty", False), ("Math", True), (None, True)]
    assert all(grown for _, _, grown, _ in found)
    ((failure,), *none) = [failures for *_, failures in found]
    assert none == [[], []]
    assert failure["reason"] == "judge: status 500: injected: server error"


@pytest.mark.skipif(not SEEDS.exists(), reason="the seed tasks of self-instruct are not here")
def test_real_seeds_through_a_server(tmp_path, fake_server):
    """175 trees of three iterations; every role is one served model, and a reward is read off the next token."""
    server = fake_server()
    real = Project(tmp_path).spec(f"""
models:
  served: {{use: openai, model: tokenises, base_url: "{server.url}"}}
tables:
  seeds: {{source: "{SEEDS.resolve().as_posix()}", params: {{shape: raw}}}}
  tree_nodes:
    generate: ultraprompt
    from: seeds
    models: {{rewriter: served, responder: served, reward: served}}
    params: {{iterations: 3, samples: 2, reward: rating}}
""")
    assert real.build().exit_code == 0
    assert real.sql("SELECT count(*), count(DISTINCT parent_id), bool_and(is_success) FROM tree_nodes") == [
        (175 * 4, 175, True)
    ]
    assert real.sql("SELECT count(*) FROM tree_nodes WHERE index = 0 AND instruction <> raw_instruction") == [(0,)]
    kinds = dict(real.sql("SELECT kind, count(*) FROM calls GROUP BY kind"))
    assert (kinds["chat"], kinds["generate"]) == (175 * 3, 175 * 8)
    assert server.stats()["repeats"] <= 1  # what the server is asked about its tokens
