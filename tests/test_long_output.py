"""The SQL of `specs/long_output.yaml` beside sums by hand, and its steps on real prompts and long answers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from operators.fakes import run, table
from project import Project
from published_lengths import published_count, published_requests, published_score

from engine.assets import folder
from engine.operators.scorers.writing_quality import DIMENSIONS
from engine.registry import operator

RECIPE = yaml.safe_load((folder("specs") / "long_output.yaml").read_text(encoding="utf-8"))["tables"]
REAL = Path(__file__).parents[1] / "../shared/data/longform"
JUDGED = json.dumps(dict.fromkeys(DIMENSIONS, 3))
PROMPTS = folder("specs") / "data" / "length_prompts.jsonl"


def recipe(*names: str, **changes: object) -> str:
    """Tables of the recipe as they stand there, and others."""
    return yaml.safe_dump({"tables": {name: RECIPE[name] for name in names} | changes}, allow_unicode=True)


def source(path: Path) -> dict[str, object]:
    return {"source": path.resolve().as_posix(), "params": {"shape": "raw"}}


def test_ten_chat_rows_of_each_language_for_a_long_one(tmp_path):
    tables = recipe("mixed", long_rows={"source": "long.jsonl"}, chat={"source": "chat.jsonl"})
    project = Project(tmp_path).spec(tables)
    project.data([talk(f"Long {i}") for i in range(3)], "long.jsonl")
    project.data([talk(f"Chat {i}") for i in range(40)] + [talk(f"聊天{i}") for i in range(50)], "chat.jsonl")
    project.build()
    asked = [messages[0]["content"] for (messages,) in project.sql("SELECT messages FROM mixed")]
    assert Counter(text[:4] if text[:4] == "Long" else text[:1] for text in asked) == {"Long": 3, "C": 30, "聊": 30}
    assert project.sql("SELECT count(DISTINCT row_id) FROM mixed") == [(63,)]


def talk(text: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "Yes."}]}


def test_the_evaluation_by_hand(tmp_path):
    scored = [
        {"model": "after", "required_length": 499, "score_length": 100.0, "s_q": 50.0},
        {"model": "after", "required_length": 100, "score_length": 0.0, "s_q": 100.0},
        {"model": "after", "required_length": 2000, "score_length": 80.0, "s_q": None},
        {"model": "before", "required_length": 500, "score_length": 48.92, "s_q": 85.87},
        {"model": "before", "required_length": 4000, "score_length": 20.0, "s_q": 40.0},
    ]
    rows = [
        {**row, "response_length": 7, "finish_reason": "length" if row["s_q"] == 40.0 else "stop"} for row in scored
    ]
    project = Project(tmp_path).spec(recipe("evaluation", answers={"source": "data.jsonl", "params": {"shape": "raw"}}))
    project.data(rows).build()
    found = project.sql("SELECT model, asked_for, answers, s_l, s_q, s, not_judged, cut_off FROM evaluation")
    assert found == [
        ("before", "500 to 2,000", 1, 48.92, 85.87, 67.4, 0, 0),
        ("before", "4,000 and more", 1, 20.0, 40.0, 30.0, 0, 1),
        ("before", "all", 2, 34.46, 62.94, 48.7, 0, 1),
        ("after", "under 500", 2, 50.0, 75.0, 62.5, 0, 0),
        ("after", "2,000 to 4,000", 1, 80.0, None, None, 1, 0),
        ("after", "all", 3, 60.0, 75.0, 62.5, 1, 0),
    ]


def test_the_prompts_ask_for_what_they_say(tmp_path):
    asked = {
        "sql": "SELECT prompt AS instruction, prompt AS response, required_words AS said FROM prompts",
        "scores": ["length_following"],
    }
    project = Project(tmp_path).spec(recipe(prompts=source(PROMPTS), asked=asked))
    project.build()
    lengths = project.sql("SELECT said, required_length FROM asked")
    assert len(lengths) == 12
    assert all(said == read for said, read in lengths)


ESSAY_OF_800 = """
SELECT row_id, prompt || if(model = 'suri_7b', '', ' Write 800 words.') AS instruction, response FROM essays
"""
PAIRED = """
WITH asked AS (SELECT *, row_number() OVER (ORDER BY id) AS n FROM prompts WHERE set = 'longbench_write'),
     written AS (SELECT *, row_number() OVER (ORDER BY id) AS n FROM essays)
SELECT 'any' AS model, a.prompt AS instruction, a.required_words, w.response, 'stop' AS finish_reason
FROM asked AS a JOIN written AS w USING (n)
"""


@pytest.mark.skipif(not REAL.exists(), reason="the long-form sets are not here")
def test_real_requests_and_long_answers(tmp_path):
    """The steps of the recipe without its models: LongWriter-6k is not here, so 1,748 and 666 rows can't be counted.

    The essays of HelloBench name no length. Four of five models' are taken as if 800 words had been asked for, and 120
    of them as answers to the 120 prompts of LongBench-Write, whose buckets have the published sizes.
    """
    pool = {"sql": ESSAY_OF_800, "scores": RECIPE["pool"]["scores"]}
    answers = {"sql": PAIRED, "scores": RECIPE["answers"]["scores"]}
    judge = {"judge": {"use": "scripted", "params": {"default": JUDGED}}}
    project = Project(tmp_path).spec(
        yaml.safe_dump({"models": judge})
        + recipe(
            "long_rows", "stages", "evaluation",
            essays=source(REAL / "hellobench_responses.parquet"), prompts=source(REAL / "longbench_write.parquet"),
            pool=pool, answers=answers,
        )
    )  # fmt: skip
    assert project.build().exit_code == 0

    essays = pq.read_table(REAL / "hellobench_responses.parquet").to_pylist()
    followed = [
        published_score(800, published_count(row["response"])) >= 80 for row in essays if row["model"] != "suri_7b"
    ]
    assert 0 < sum(followed) < len(followed) == 492
    assert project.sql("SELECT long_rows, one_length, followed FROM stages") == [(615, 492, sum(followed))]
    assert sorted(project.sql("SELECT drop_reason, count(*) FROM drops GROUP BY ALL")) == [
        ("does_not_follow", followed.count(False)), ("no_request", 123),
    ]  # fmt: skip

    pairs = project.sql("SELECT required_words, response FROM answers")
    mean = sum(published_score(x, published_count(y)) for x, y in pairs) / 120
    found = project.sql("SELECT asked_for, answers, s_l, s_q, s FROM evaluation")
    assert [row[:2] for row in found] == [
        ("under 500", 26), ("500 to 2,000", 36), ("2,000 to 4,000", 31), ("4,000 and more", 27), ("all", 120),
    ]  # fmt: skip
    assert found[-1][2:] == (pytest.approx(mean, abs=0.005), 50, pytest.approx((mean + 50) / 2, abs=0.005))


@pytest.mark.skipif(not REAL.exists(), reason="the long-form sets are not here")
@pytest.mark.parametrize(("compat", "right"), [(False, 159), (True, 123)])
def test_lengths_that_real_prompts_name(compat, right):
    """Of 168 prompts with the length that people read in them; the others name it in other words, or none."""
    rows = pq.read_table(REAL / "longbench_write.parquet")
    found = run(
        operator("score", "length_following"), table(instruction=rows["prompt"], response=rows["prompt"]), compat=compat
    )
    pairs = zip(found["required_length"].to_pylist(), rows["required_words"].to_pylist(), strict=True)
    assert sum(read == said for read, said in pairs) == right
    if compat:
        lengths = [published_requests(prompt) for prompt in rows["prompt"].to_pylist()]
        assert found["length_requests"].to_pylist() == [len(each) for each in lengths]
