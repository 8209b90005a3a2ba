"""The SQL of `specs/cyclealign.yaml` over cases by hand, and cycles of scripted models that are stopped and go on."""

from __future__ import annotations

from itertools import pairwise

import pytest
import yaml
from project import Project

from engine.assets import folder
from engine.errors import ExitCode

RECIPE = yaml.safe_load((folder("specs") / "cyclealign.yaml").read_text(encoding="utf-8"))


def case(name, ranking, *, usable=True):
    return {
        "prompt": f"about {name}", "responses": [f"{name}{i}" for i in range(4)], "ranking": ranking,
        "agreement_ranking": ranking, "used_as_demo": usable,
    }  # fmt: skip


def buffer(tmp_path, before, cases):
    """What the recipe makes of the buffer and the cases of a cycle: the prompts' names and their rankings."""
    source = {"source": "data.jsonl", "params": {"shape": "raw"}}
    sql = RECIPE["rounds"]["tables"]["demos"]["sql"].replace('"demos@previous"', "before")
    tables = {
        "before": {**source, "source": "before.jsonl"},
        "cases": source,
        "demos": {"sql": sql},
    }
    project = Project(tmp_path).spec(yaml.safe_dump({"tables": tables})).data(cases)
    assert project.data(before, "before.jsonl").build().exit_code is ExitCode.DONE
    return [
        (prompt.removeprefix("about "), ranking) for prompt, ranking in project.sql("SELECT prompt, ranking FROM demos")
    ]


def test_the_newest_usable_cases_push_the_oldest_out(tmp_path):
    before = [case(name, [0, 1, 2]) for name in "abc"]
    cases = [case("d", [2, 1, 0]), case("e", [1, 0], usable=False), case("f", [3, 0, 1])]
    assert buffer(tmp_path, before, cases) == [("c", [0, 1, 2]), ("d", [2, 1, 0]), ("f", [3, 0, 1])]


def test_a_prompt_is_in_the_buffer_once_with_its_newest_agreement(tmp_path):
    before = [case(name, [0, 1, 2]) for name in "abc"]
    assert buffer(tmp_path, before, [case("b", [2, 1, 0])]) == [("a", [0, 1, 2]), ("c", [0, 1, 2]), ("b", [2, 1, 0])]


def test_the_order_of_the_cases_is_that_of_their_rows(tmp_path):
    names = [f"x{i:02}" for i in range(30)]
    found = buffer(tmp_path, [case("a", [0, 1])], [case(name, [0, 1, 2]) for name in names])
    assert [name for name, _ in found] == names[-3:]


def test_accuracy_on_the_probe_counts_pairs(tmp_path):
    probe = [
        {"round": 1, "status": "ranked", "agreement_ratio": 0.5, "blackbox_ranking": [2, 0, 1, 3],
         "whitebox_ranking": [0, 1, 2, 3], "agreement_ranking": [0, 1, 3]},
        {"round": 1, "status": "ranked", "agreement_ratio": 1.0, "blackbox_ranking": [1, 0],
         "whitebox_ranking": [1, 0], "agreement_ranking": [1, 0]},
        {"round": 1, "status": "unreadable", "agreement_ratio": None, "blackbox_ranking": None,
         "whitebox_ranking": [0, 1], "agreement_ranking": None},
        {"round": 2, "status": "ranked", "agreement_ratio": 0.5, "blackbox_ranking": [1, 0],
         "whitebox_ranking": [0, 1], "agreement_ranking": [1]},
    ]  # fmt: skip
    tables = {
        "probe": {"source": "data.jsonl", "params": {"shape": "raw"}},
        "found": RECIPE["tables"]["probe_accuracy"],
    }
    project = Project(tmp_path).spec(yaml.safe_dump({"tables": tables})).data(probe)
    assert project.build().exit_code is ExitCode.DONE
    assert project.sql("SELECT cycle, judge, accuracy, agreement FROM found") == [
        (1, "agreement", 0.75, 0.75), (1, "black box", 0.571, 0.75), (1, "white box", 0.857, 0.75),
        (2, "agreement", None, 0.5), (2, "black box", 0.0, 0.5), (2, "white box", 1.0, 0.5),
    ]  # fmt: skip


ANSWERS = ["says a", "says b b", "says c", "says d d"]
LOST = r"(?s)User: about 10\n.*User: about 5\n"  # the query that has a demonstration of cycle 1 or later before it


def scripted(project, *, broken=False):
    """The recipe's cycles with scripted models and without training."""
    tables = RECIPE["rounds"]["tables"]
    cases = {**tables["cases"], "models": {"whitebox": "student", "blackbox": "ranker"}, "params": {"n": 3}}
    faults = [{"kind": 500, "match": LOST, "times": "always"}] if broken else []
    models = {
        "student": {"use": "scripted", "params": {"replies": [{"reply": ANSWERS}]}},
        "ranker": {
            "use": "scripted",
            "params": {"faults": faults, "replies": [
                {"match": r"(?s)\[C\](?!.*=== Conv)", "reply": "A > B > C"}, {"reply": "A > B"},
            ]},
        },
    }  # fmt: skip
    static = {"source": "static.jsonl", "params": {"shape": "raw"}}
    spec = {
        "models": models,
        "tables": {
            "prompts": {"source": "data.jsonl", "params": {"shape": "raw"}}, "ranked_demonstrations": static,
            "no_demos": {"sql": RECIPE["tables"]["no_demos"]["sql"]}, "progress": RECIPE["tables"]["progress"],
        },
        "rounds": {"count": 3, "first": {"demos": "no_demos"}, "tables": {"cases": cases, "demos": tables["demos"]}},
    }  # fmt: skip
    project.spec(yaml.safe_dump(spec)).data([{"prompt": f"about {i}"} for i in range(12)])
    return project.data([{"prompt": "old", "responses": ["x", "y"], "ranking": [1, 0]}], "static.jsonl")


CASES = "SELECT round, responses, demo_ids, blackbox_raw, train_ranking FROM cases ORDER BY round, row_id"


def test_cycles_are_the_same_every_time_and_each_shows_the_newest_cases_of_the_one_before(tmp_path):
    one, two = (scripted(Project(made(tmp_path / name))) for name in ("one", "two"))
    assert one.build().exit_code is two.build().exit_code is ExitCode.DONE
    assert one.sql(CASES) == two.sql(CASES)
    ((static,),) = one.sql("SELECT row_id FROM ranked_demonstrations")
    for cycle in (1, 2, 3):
        known = dict(one.sql(f'SELECT row_id, prompt[1].content FROM "demos@{cycle - 1}"')) if cycle > 1 else {}
        shown = one.sql(f"SELECT prompt[1].content, demo_ids FROM \"cases@{cycle}\" WHERE status = 'ranked'")
        assert len(shown) > 6
        for own, demos in shown:
            others = [demo for demo, prompt in known.items() if prompt != own]
            assert demos == [static, *others[-2:]]


def test_answers_are_drawn_anew_in_every_cycle(tmp_path):
    project = scripted(Project(tmp_path))
    project.build()
    drawn = [project.sql(f'SELECT prompt_id, responses FROM "cases@{cycle}" ORDER BY 1') for cycle in (1, 2, 3)]
    assert all(one != other for one, other in pairwise(drawn))
    assert all([row[0] for row in one] == [row[0] for row in other] for one, other in pairwise(drawn))


def test_a_build_that_lost_rows_in_later_cycles_goes_on_with_what_was_not_answered(tmp_path):
    whole = scripted(Project(made(tmp_path / "whole")))
    whole.build()
    project = scripted(Project(made(tmp_path / "broken")), broken=True)
    assert project.build().exit_code is ExitCode.FAILURES
    assert project.sql("SELECT step, count(*) FROM errors GROUP BY step ORDER BY step") == [
        ("cases@2", 1),
        ("cases@3", 1),
    ]
    steps = {step["step"]: step for step in scripted(project).build().steps}
    assert steps["cases@1"]["state"] == steps["demos@1"]["state"] == "cached"
    assert [steps[f"cases@{cycle}"]["calls_sent"] for cycle in (1, 2, 3)] == [0, 1, 1]  # the ranker's, and no answer's
    assert project.sql(CASES) == whole.sql(CASES)
    assert project.calls() == whole.calls()


@pytest.mark.slow
def test_agreements_are_in_the_trained_models_own_order(tmp_path):
    """The build's likelihoods are the trainer's: RRHF's rank term on an agreement is zero to the last digit."""
    twin = yaml.safe_load((folder("specs") / "small/cyclealign.yaml").read_text(encoding="utf-8"))
    for table in twin["tables"].values():
        table |= {"source": str(folder("specs") / "small" / table["source"])} if "source" in table else {}
    del twin["version"], twin["name"], twin["seed"]
    for label, in_vain in (("agreement", True), ("blackbox", False)):
        twin["rounds"]["tables"]["cases"]["params"] |= {"train_label": label}
        project = Project(tmp_path).spec(yaml.safe_dump(twin))
        project.build(selection="+student@1")  # the second time all calls are known
        ((rank_loss, accuracy),) = project.sql("SELECT rank_loss, rank_accuracy FROM train_steps WHERE step = 1")
        assert (rank_loss == 0, accuracy == 1) == (in_vain, in_vain)


def made(path):
    path.mkdir()
    return path
