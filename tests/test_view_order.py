"""Tables as SQL shows them: in the order of their parts, with every column, and the same in every build."""

import asyncio

import duckdb
import pytest
from project import Project

from engine.relation import Reader, Relation, view_sql
from engine.store import Store
from engine.work import query, verbs

SPEC = """
models:
  embedder: {use: hashing, params: {dim: 8}}
tables:
  pool:
    source: data.jsonl
    scores: [length, {score: embedding, model: embedder, columns: {text: response}}]
  kept:
    select: filter
    from: pool
    params: {where: id % 3 > 0}
    scores: [{score: length, as: again}]
  picked:
    select: random
    from: kept
    params: {k: 150}
  flat:
    sql: SELECT * FROM picked
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    for module in (verbs, query):
        monkeypatch.setattr(module, "PART_ROWS", 50)
    rows = [{"id": i, "instruction": f"Say {i}", "output": f"word {i} " * (i % 7)} for i in range(400)]
    return Project(tmp_path).spec(SPEC).data(rows)


@pytest.mark.parametrize("table", ["pool", "kept", "picked", "flat"])
def test_sql_shows_the_rows_as_they_are_stored(project, table):
    project.build()
    store = Store(project.home)
    relation = Relation.from_json(store.ref("trial", table)["relation"])
    stored = Reader(store, relation)
    assert stored.n_parts > 1
    shown = duckdb.connect(config={"threads": 8}).sql(view_sql(store, relation)).to_arrow_table()
    assert shown.column_names == stored.schema().names
    expected = stored.table(shown.column_names)
    assert shown.cast(expected.schema).equals(expected)


def test_a_selection_shows_scores_that_end_after_it(project, monkeypatch):
    """`kept` and `picked` need no score of `pool`, so nothing makes them wait for it."""
    score = verbs.score_vector

    async def late(job, runner):
        while not (project.home / "refs" / "trial" / "picked.json").exists():
            await asyncio.sleep(0.01)
        return await score(job, runner)

    monkeypatch.setattr(verbs, "score_vector", late)
    project.build()
    columns = {c for (c, *_) in project.sql("DESCRIBE picked")}
    assert {"n_chars", "embedding", "again_n_chars"} <= columns


def test_equal_sort_keys_come_in_the_same_order_every_time(tmp_path):
    """Several threads would put them in the order in which they get to them."""
    project = Project(tmp_path).data([{"id": i} for i in range(200_000)])
    project.spec("tables: {pool: {source: data.jsonl}, sorted: {sql: SELECT id FROM pool ORDER BY id % 3}}")

    def sorted_ids(home):
        project.home = tmp_path / home
        project.build()
        return [id_ for (id_,) in project.sql("SELECT id FROM sorted")]

    assert sorted_ids("one") == sorted_ids("two")
