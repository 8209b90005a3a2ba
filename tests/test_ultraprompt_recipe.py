"""The SQL of `specs/ultraprompt.yaml` over a tree by hand, its training texts, and the search on real instructions."""

from __future__ import annotations

import yaml
from project import Project

from engine.assets import folder
from engine.operators._prompts import fill, text_of

RECIPE = yaml.safe_load((folder("specs") / "ultraprompt.yaml").read_text(encoding="utf-8"))["tables"]
OF_THE_TREE = ("searches", "whole_trees", "ultraprompt_pairs", "ultraprompt_steps", "wording", "single_po_rows",
               "p_aligner_pairs", "p_aligner_rows")  # fmt: skip


def node(tree, index, parent, action, reward, **more):
    """A row of `tree_nodes`; the text is the path's initials."""
    return {
        "seed": tree, "node_id": f"{tree}/{index}", "node_parent": None if parent is None else f"{tree}/{parent}",
        "meta": tree, "category": "Math", "index": index, "action": action, "principle": f"be {action}",
        "actions": [] if parent is None else [action], "instruction": f"{tree}{index}", "raw_instruction": f"{tree}0",
        "duplicate": False, "local_avg_reward": reward, "failures": [{"iteration": 0, "reason": "x"}] * 2,
        "is_success": True, **more,
    }  # fmt: skip


TREES = [
    node("a", 0, None, "root", 0.5), node("a", 1, 0, "Hint", 0.7), node("a", 2, 0, "Tone", 0.5),
    node("a", 3, 1, "Tone", 0.9), node("a", 4, 1, "Hint", 0.9), node("a", 5, 2, "Clear", 0.2),
    node("a", 6, 5, "Clear", 0.2, duplicate=True),
    node("b", 0, None, "root", 0.8), node("b", 1, 0, "Hint", 0.1), node("b", 2, 1, "Tone", 0.3),
    node("c", 0, None, "root", 0.4), node("c", 1, 0, "Hint", 0.4),
    node("d", 0, None, "root", None, is_success=False), node("d", 1, 0, "Hint", 0.4, is_success=False),
    node("d", 2, 1, "Tone", 0.6, is_success=False),
]  # fmt: skip


def by_hand(tmp_path):
    tables = {name: RECIPE[name] for name in OF_THE_TREE} | {
        "nodes": {"source": "data.jsonl", "params": {"shape": "raw"}},
        "tree_nodes": {"sql": "SELECT * REPLACE (seed AS parent_id) FROM nodes"},
    }
    project = Project(tmp_path).spec(yaml.safe_dump({"tables": tables})).data(TREES)
    assert project.build().exit_code == 0
    return project


def test_pairs_are_the_first_best_and_the_last_worst_of_whole_trees(tmp_path):
    project = by_hand(tmp_path)
    found = project.sql(
        "SELECT meta, src_instruction, chosen_instruction, rejected_instruction, chosen_actions, rejected_actions, "
        "chosen_reward, rejected_reward, rewrites, duplicates, failed FROM ultraprompt_pairs ORDER BY meta"
    )
    assert found == [
        ("a", "a0", "a3", "a6", ["Tone"], ["Clear"], 0.9, 0.2, 6, 1, 2),
        ("b", "b0", "b0", "b1", [], ["Hint"], 0.8, 0.1, 2, 0, 2),  # best left as it is
    ]
    assert project.sql("SELECT drop_reason, count(*) FROM drops GROUP BY ALL ORDER BY ALL") == [
        ("all rewards are equal", 1), ("unfinished", 1),
    ]  # fmt: skip


def test_steps_are_the_edges_that_improve_strictly(tmp_path):
    found = by_hand(tmp_path).sql(
        "SELECT meta, action, src_instruction, chosen_instruction, src_reward, chosen_reward FROM ultraprompt_steps "
        "ORDER BY meta"
    )
    assert found == [
        ("a_0", "Hint", "a0", "a1", 0.5, 0.7), ("a_1", "Tone", "a1", "a3", 0.7, 0.9),
        ("a_2", "Hint", "a1", "a4", 0.7, 0.9), ("b_0", "Tone", "b1", "b2", 0.1, 0.3),
        ("d_0", "Tone", "d1", "d2", 0.4, 0.6),
    ]  # fmt: skip


def test_rewriters_are_trained_on_what_the_search_asks_them(tmp_path):
    project = by_hand(tmp_path)
    ((talk,),) = project.sql("SELECT messages FROM single_po_rows WHERE contains(messages[3].content, 'b2')")
    asked = fill(text_of("ultraprompt/marked"), {"instruction": "b1", "principle": "be Tone"})
    assert [turn["content"] for turn in talk] == [
        text_of("ultraprompt/marked_system"), asked, "--- prompt begins ---\nb2\n--- prompt ends ---",
    ]  # fmt: skip
    assert [turn["role"] for turn in talk] == ["system", "user", "assistant"]
    ((prompt, chosen, rejected),) = project.sql(
        "SELECT prompt, chosen, rejected FROM p_aligner_pairs WHERE contains(chosen[1].content, 'b0')"
    )
    lines = text_of("ultraprompt/marked").replace("{instruction}", "b0").splitlines()
    assert prompt[1]["content"].splitlines() == [line for line in lines if "{principle}" not in line]
    assert [turn["content"].splitlines()[1] for turn in chosen + rejected] == ["b0", "b1"]
    assert project.sql("SELECT count(*) FROM p_aligner_rows WHERE messages[3].content LIKE '%b0%'") == [(1,)]


def test_a_rewrite_is_what_stands_between_the_lines_or_null(tmp_path):
    replies = [
        "--- prompt begins ---\nTwo\nlines.\n--- prompt ends ---",
        "Surely. --- prompt begins ---One.--- prompt ends --- Bye.",
        "No lines.",
        "--- prompt begins ---\nNever ended",
        "--- prompt begins ---\n\n--- prompt ends ---",
    ]
    tables = {
        "held_out": {"source": "data.jsonl", "params": {"shape": "raw"}},
        **{name: RECIPE[name] for name in ("wording", "requests", "rewritten")},
        "replies": {
            "sql": "SELECT q.row_id, q.row_id AS parent_id, h.response, 'stop' AS finish_reason "
            "FROM requests AS q JOIN held_out AS h USING (row_id)"
        },
    }
    rows = [{"instruction": f"i{k}", "response": reply} for k, reply in enumerate(replies)]
    project = Project(tmp_path).spec(yaml.safe_dump({"tables": tables})).data(rows)
    assert project.build().exit_code == 0
    assert project.sql("SELECT raw_instruction, instruction FROM rewritten ORDER BY raw_instruction") == [
        ("i0", "Two\nlines."), ("i1", "One."), ("i2", None), ("i3", None), ("i4", None),
    ]  # fmt: skip
