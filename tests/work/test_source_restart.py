"""A source whose columns turn out wider when parts of it are written already."""

from project import Project

from engine.operators.sources import jsonl

SPEC = "tables: {pool: {source: data.jsonl, params: {shape: raw, on_bad: skip}}}"


def test_a_late_column_stands_in_every_part(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "BLOCK_BYTES", 100_000)
    rows = [{"n": i} for i in range(40_000)] + [{"n": "bad"}, {"n": 0.5, "late": "here"}]
    project = Project(tmp_path).spec(SPEC).data(rows)
    report = project.build()
    assert [(step["rows"], step["rejects"]) for step in report.steps] == [(40_001, 1)]
    assert project.sql("SELECT count(*), sum(n), count(late), count(DISTINCT row_id) FROM pool") == [
        (40_001, 40_000 * 39_999 / 2 + 0.5, 1, 40_001)
    ]
    assert project.sql("SELECT record, field FROM rejects") == [(40_001, "n")]
    assert project.states() == {"pool": "cached"}
