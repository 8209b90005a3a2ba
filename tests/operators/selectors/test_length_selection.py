"""The published curation of long rows, stage by stage."""

import pyarrow as pa
import pytest
from operators.fakes import run, table
from project import Project
from pydantic import ValidationError

from engine.registry import operator

SELECT = operator("select", "length_following")


def lengths(*rows):
    counts, required, written = (pa.array(column, pa.int64()) for column in zip(*rows, strict=True))
    return table(length_requests=counts, required_length=required, response_length=written)


def test_each_stage_has_its_reason():
    batch = lengths(
        (1, 1000, 1600), (0, None, 900), (2, None, 900), (1, 0, 900), (1, 900, 0), (1, 1000, 1601), (1, 1401, 1000),
        (1, 1400, 1000), (1, 900, None), (None, None, 900),
    )  # fmt: skip
    rows = run(SELECT, batch).to_pylist()
    assert [row["drop_reason"] for row in rows] == [
        None, "no_request", "several_requests", "zero_length", "zero_length", "does_not_follow", "does_not_follow",
        None, "zero_length", "no_request",
    ]  # fmt: skip
    assert [row["select_rank"] for row in rows if row["selected"]] == [0, 1]


def test_the_threshold():
    batch = lengths((1, 1000, 1000), (1, 1000, 2000), (1, 1000, 4000))
    kept = {t: run(SELECT, batch, threshold=t)["selected"].to_pylist() for t in (100.0, 66.0, 67.0, 0.0)}
    assert kept == {
        100.0: [True, False, False], 66.0: [True, True, False], 67.0: [True, False, False], 0.0: [True, True, True],
    }  # fmt: skip
    for threshold in (-1.0, 101.0):
        with pytest.raises(ValidationError):
            SELECT.params(threshold=threshold)


SPEC = """
tables:
  pool:
    source: data.jsonl
    params: {shape: openai}
    scores: [{score: length_following, params: {compat: true}}]
  long_rows: {select: length_following, from: pool}
"""
DROPS = "SELECT drop_reason, count(*) FROM drops WHERE table_name = 'long_rows' GROUP BY 1 ORDER BY 1"


def talk(instruction, words):
    return {"messages": [{"role": "user", "content": instruction}, {"role": "assistant", "content": "word " * words}]}


def test_the_counts_of_each_stage_are_in_sql(tmp_path):
    project = Project(tmp_path).spec(SPEC)
    rows = [
        *(talk(f"Write {n} words.", n) for n in range(10, 17)), *(talk("Write on.", n) for n in range(1, 6)),
        *(talk("Write 10 words or 20 words.", n) for n in range(1, 4)), talk("Write 1,000 words.", 1000),
        talk("Write 10 words.", 0), *(talk("Write 100 words.", n) for n in range(161, 165)),
    ]  # fmt: skip
    project.data(rows).build()
    assert project.sql(DROPS) == [
        ("does_not_follow", 4), ("no_request", 5), ("several_requests", 3), ("zero_length", 2),
    ]  # fmt: skip
    assert project.sql("SELECT count(*) FROM long_rows") == [(7,)]
    assert project.sql("SELECT count(*) FROM errors WHERE error = 'no length is asked for'") == [(5,)]
