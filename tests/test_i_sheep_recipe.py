"""The rounds of `specs/i_sheep.yaml`: who asks whom and trains on what, the chain on scripts, and the toy of skill.

The operators have tests of their own; here is what the recipe makes of them.
"""

import copy

import duckdb
import pytest
import yaml
from project import Project

from engine.assets import folder
from engine.errors import ExitCode
from engine.ledger import Ledger
from engine.plan import make_plan
from engine.spec.load import load_spec
from engine.store import Store

RECIPE = yaml.safe_load((folder("specs") / "i_sheep.yaml").read_text(encoding="utf-8"))


def planned(tmp_path, monkeypatch, change=lambda _: None):
    """The steps of the recipe, changed as one of its comments says."""
    monkeypatch.setenv("BASE", "hub/base")
    spec = copy.deepcopy(RECIPE)
    for source in ("seed_list", "exam"):
        spec["tables"][source]["source"] = str(folder("specs") / "data" / "exam.jsonl")
    change(spec)
    file = tmp_path / "spec.yaml"
    file.write_text(yaml.safe_dump(spec))
    ledger = Ledger(tmp_path / "home")
    try:
        return make_plan(load_spec(file), Store(tmp_path / "home"), ledger=ledger).steps
    finally:
        ledger.close()


def origin(steps, number):
    """Of a round: who writes, who answers, who assesses, what is trained and on which table."""
    step = {name: steps[f"{name}@{number}"].step for name in ("prompts", "answers", "sample", "student")}
    judge = steps[f"assessed@{number}.self_assessment"].step
    asked = [step[name].models_by_role["model"] for name in ("prompts", "answers")]
    return [*asked, judge.models_by_role["model"], step["student"].base, step["student"].sources]


def one_last(spec):
    spec["rounds"]["models"]["student"]["base"] = "student@previous"


def total_base(spec):
    rounds = spec["rounds"]
    rounds["first"]["sample"] = None
    rounds["tables"]["sample"]["from"] = ["kept", "sample@previous"]


def assessed_by_the_student(spec):
    (score,) = spec["rounds"]["tables"]["assessed"]["scores"]
    score["model"] = "student@previous"


def test_a_rounds_model_writes_and_answers_and_the_base_learns_its_rows_alone(tmp_path, monkeypatch):
    steps = planned(tmp_path, monkeypatch)
    assert origin(steps, 1) == ["base", "base", "base", "base", ("sample@1",)]
    assert origin(steps, 2) == ["student@1", "student@1", "base", "base", ("sample@2",)]
    assert origin(steps, 3) == ["student@2", "student@2", "base", "base", ("sample@3",)]
    assert steps["sample@3"].step.sources == ("kept@3",)
    assert {steps[f"prompts@{n}"].step.sides["seeds"] for n in (1, 2, 3)} == {"seeds"}  # never earlier rounds' rows
    forms = [(steps[f"{name}@{n}"].step.params.form) for n in (1, 2, 3) for name in ("prompts", "answers")]
    assert forms == ["base", "base", "chat", "chat", "chat", "chat"]
    assert len({steps[f"student@{n}"].fingerprint for n in (1, 2, 3)}) == 3


def test_the_settings_that_the_comments_name(tmp_path, monkeypatch):
    last = planned(tmp_path, monkeypatch, one_last)
    assert [origin(last, n)[3] for n in (1, 2, 3)] == ["base", "student@1", "student@2"]
    total = planned(tmp_path, monkeypatch, total_base)
    assert [origin(total, n)[3] for n in (1, 2, 3)] == ["base"] * 3
    rows = [total[f"sample@{n}"].step.sources for n in (1, 2)]
    assert rows == [("kept@1",), ("sample@2.from",)]
    assert total["sample@2.from"].step.sources == ("kept@2", "sample@1")
    judged = planned(tmp_path, monkeypatch, assessed_by_the_student)
    assert [origin(judged, n)[2] for n in (1, 2, 3)] == ["base", "student@1", "student@2"]


@pytest.mark.parametrize(
    ("before", "shares", "stops"),
    [
        (0.5, [0.6], False),
        (0.7, [0.6], False),
        (0.7, [0.6, 0.5], True),
        (0.4, [0.6, 0.5], False),
        (0.4, [0.6, 0.5, 0.4], True),
        (0.7, [0.6, 0.6, 0.5], False),  # to stay is not to fall
        (0.7, [0.6, 0.7, 0.6], False),
    ],
)
def test_the_rounds_end_when_the_exam_has_gone_worse_twice(before, shares, stops):
    with duckdb.connect() as con:
        con.execute("CREATE TABLE before AS SELECT ? AS right_share", [before])
        con.execute("CREATE TABLE accuracy AS SELECT unnest(?) AS right_share, unnest(?) AS round",
                    [shares, list(range(1, len(shares) + 1))])  # fmt: skip
        assert con.execute(RECIPE["rounds"]["until"]).fetchone() == (stops,)


KEEP = RECIPE["rounds"]["tables"]["kept"]["params"]["where"]


@pytest.mark.parametrize(("where", "kept"), [(KEEP, ["9 9"]), (KEEP.replace("8", "0"), ["9 9", "8 10", "10 8"])])
def test_both_marks_must_be_above_the_threshold(tmp_path, where, kept):
    marks = [(9, 9), (8, 10), (10, 8), (9, None), (None, None)]
    rows = [{"name": f"{q} {f}", "quality_score": q, "following_score": f} for q, f in marks]
    tables = {
        "assessed": {"source": "data.jsonl", "params": {"shape": "raw"}},
        "kept": {"select": "filter", "from": "assessed", "params": {"where": where}},
    }
    project = Project(tmp_path).data(rows).spec(yaml.safe_dump({"tables": tables}))
    assert project.build().exit_code is ExitCode.DONE
    assert {name for (name,) in project.sql("SELECT name FROM kept")} == set(kept)


LIST = """Compare a{draw} with b{draw} and c{draw}.
6. Input:
<noinput>
###
7. Instruction: Sort the words of list {draw}.
7. Input:
pear, fig {draw}
###
8. Instruction: Draw a picture of {draw}.
8. Input: <noinput>
###
9. Instruction: No input follows.
###
10. Instruction: Cut"""


def scripted_chain(tmp_path):
    """The recipe's rounds with scripts for models, so without training; three rows of prompts a round."""
    spec = copy.deepcopy(RECIPE)
    writer = [
        {"match": r"\d+\. Instruction:\Z", "reply": LIST},
        {"match": "quality of the response", "reply": ["9||good", "9||", "8||", "fair enough"]},
        {"match": "follows the instruction", "reply": ["10||", "2||", "9 it does", "who knows"]},
        {"match": "", "reply": ["It is this one.", "It is that one.", "", "User: what?\nIt is so."]},
    ]
    rounds = spec["rounds"]
    tables = rounds["tables"] = {n: t for n, t in rounds["tables"].items() if n not in ("sample", "graded", "accuracy")}
    rounds |= {"count": 2, "first": {}, "until": None, "models": None}
    spec["rounds"] = {key: value for key, value in rounds.items() if value}
    spec["models"] = {"base": {"use": "scripted", "params": {"replies": writer}}}
    for name in ("prompts", "answers"):
        tables[name]["model"] = "base"
    tables["prompts"]["params"] |= {"rows": 30, "stop": None}
    seeds = {"source": "data.jsonl", "params": {"shape": "raw"}}
    spec["tables"] = {"seeds": seeds} | {name: spec["tables"][name] for name in ("yields", "pairs")}
    rows = [{"instruction": f"Seed {i} in other words.", "input": ""} for i in range(6)]
    keys = ("models", "tables", "rounds")
    return Project(tmp_path).data(rows).spec(yaml.safe_dump({key: spec[key] for key in keys}))


def test_every_block_has_one_fate_and_the_fates_are_all_there_is(tmp_path):
    project = scripted_chain(tmp_path)
    assert project.build().exit_code is ExitCode.DONE
    assert project.sql("SELECT DISTINCT sum(rows) FROM yields GROUP BY round") == [(150,)]
    assert project.sql("SELECT round(sum(percent), 9) FROM yields GROUP BY round") == [(100.0,), (100.0,)]
    fates = {fate for (fate,) in project.sql("SELECT fate FROM yields")}
    assert {"prompt: malformed_block", "prompt: last_block", "prompt: beyond_text", "not novel"} <= fates
    assert {"answer: empty", "answer: role_or_label", "no mark: quality", "below the threshold", "kept"} <= fates
    counted = "SELECT count(*) FROM pairs WHERE kept"
    assert project.sql(counted) == project.sql("SELECT count(*) FROM kept")
    assert project.sql("SELECT count(*) FROM pairs WHERE kept AND least(quality_score, following_score) < 9") == [(0,)]
    assert project.sql("SELECT count(*) FROM assessed WHERE quality_score IS NULL AND quality_raw IS NULL") == [(0,)]


def test_too_few_seeds_end_the_build_with_a_cure(tmp_path):
    project = scripted_chain(tmp_path).data([{"instruction": "One in other words.", "input": ""}] * 9)
    report = project.build()
    failed = {step["step"]: step["detail"] for step in report.steps if step["state"] == "failed"}
    assert set(failed) == {"prompts@1", "prompts@2"}
    assert "1 different instructions in 9 rows, and a prompt shows 5" in failed["prompts@1"]


def test_the_same_seed_gives_the_same_rows(tmp_path):
    found = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        project = scripted_chain(tmp_path / name)
        project.build()
        found.append(project.sql("SELECT * FROM pairs ORDER BY row_id"))
    assert found[0] == found[1]
    assert len({row[0] for row in found[0]}) == len(found[0])


def skills(tmp_path, accuracy, where, rounds=3, skill=0.6, rows=240):
    """The skill of each round's model: what share of the rows that the last one was trained on is right.

    A writer of skill p answers rightly with probability p; a judge of accuracy q gives 9 to what it takes for right.
    """
    found = [skill]
    data = [{"instruction": f"Question number {i}?"} for i in range(rows)]
    for number in range(rounds):
        good = round(40 * found[-1])
        marks = ["9||"] * round(20 * accuracy) + ["2||"] * (20 - round(20 * accuracy))
        wrong = ["2||" if mark == "9||" else "9||" for mark in marks]
        judge = [{"match": "Response: right", "reply": marks}, {"match": "Response: wrong", "reply": wrong}]
        models = {
            "writer": {
                "use": "scripted",
                "params": {"replies": [{"reply": ["right"] * good + ["wrong"] * (40 - good)}]},
            },
            "judge": {"use": "scripted", "params": {"replies": judge}},
        }
        assess = {"score": "self_assessment", "model": "judge"}
        tables = {
            "asked": {"source": "data.jsonl", "params": {"shape": "raw"}},
            "answers": {"generate": "i_sheep_answer", "from": "asked", "model": "writer", "scores": [assess]},
            "kept": {"select": "filter", "from": "answers", "params": {"where": where}},
        }
        place = tmp_path / f"{accuracy} {len(where)} {number}"
        place.mkdir()
        project = Project(place).data(data).spec(yaml.safe_dump({"models": models, "tables": tables}))
        project.build()
        found.append(project.sql("SELECT avg((response = 'right')::INT) FROM kept")[0][0])
    return found


def test_skill_rises_with_a_judge_better_than_chance_and_falls_with_a_worse_one(tmp_path):
    good, bad = skills(tmp_path, 0.7, KEEP), skills(tmp_path, 0.3, KEEP)
    assert good[0] < good[1] < good[2] <= good[3]
    assert good[-1] > 0.9
    assert bad[0] > bad[1] > bad[2] >= bad[3]
    assert bad[-1] < 0.1
    flat = skills(tmp_path, 0.7, "true")
    assert max(abs(skill - flat[0]) for skill in flat) < 0.15  # what is not filtered only drifts
