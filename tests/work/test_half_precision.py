"""Embeddings of half precision through a real build: store, laws, SQL, data tests, and operators over vectors."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from project import Project

from engine.errors import ExitCode

SPEC = """
models:
  embedder: {use: hashing, params: {dim: 64}}
tables:
  pool:
    source: data.jsonl
    scores:
      - {score: embedding, model: embedder, params: {precision: PRECISION}}
      - {score: length}
  first:
    sql: SELECT row_id, embedding[1] AS first FROM pool
  copy:
    sql: SELECT row_id, embedding, n_chars FROM pool
    scores: [{score: min_neighbor_distance}]
  best_of_copy: {select: deita, from: copy, params: {budget: 5, max_similarity: 0.9, score: n_chars}}
  apart:
    select: semdedup
    from: pool
    params: {eps: 0.1, clusters: 2, keep: score, score: 'embedding[1]'}
    scores: [{score: min_neighbor_distance}, {score: semantic_duplicate}]
    tests: [{rows: {min: 3, max: 13}}]
  best:
    select: deita
    from: pool
    params: {budget: 5, max_similarity: 0.9, score: n_chars}
  far: {select: min_neighbor_distance, from: pool, params: {min_distance: 0.001}}
"""
TEXTS = [f"{word} stands {i} times alone in row {i * i}" for i, word in enumerate(["red", "green", "blue"] * 4)]


def build(folder, precision):
    folder.mkdir()
    project = Project(folder).spec(SPEC.replace("PRECISION", precision))
    project.data([{"text": text} for text in [*TEXTS, TEXTS[3], TEXTS[7]]])
    assert project.build().exit_code == ExitCode.DONE
    return project


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    return build(tmp_path_factory.mktemp("projects") / "half", "float16")


def stored(project):
    """The embeddings as any Parquet reader finds them: the score, which has no other column."""
    files = [p for p in project.home.glob("objects/*/part-*.parquet") if len(pq.read_schema(p).names) == 2]
    return pa.concat_tables(t for t in map(pq.read_table, files) if "embedding" in t.column_names)["embedding"]


def test_the_store_holds_half_precision_and_sql_reads_it(half):
    assert stored(half).type == pa.list_(pa.float16(), 64)
    kept = {tuple(row) for row in stored(half).to_pylist()}
    assert {tuple(row) for (row,) in half.sql("SELECT embedding FROM pool")} == kept
    assert half.sql("SELECT DISTINCT typeof(embedding) FROM pool") == [("FLOAT[64]",)]
    assert half.sql("SELECT max(array_cosine_distance(embedding, embedding)) FROM apart")[0][0] < 1e-6
    assert {row for (row,) in half.sql("SELECT first FROM first")} == {row[0] for row in kept}


def test_operators_give_what_the_stored_vectors_say(half):
    vectors = dict(half.sql("SELECT row_id, embedding FROM pool"))
    rows = {row: np.array(v) / np.linalg.norm(v) for row, v in vectors.items()}
    for row, other, similarity in half.sql("SELECT row_id, nn_id, nn_sim FROM drops WHERE nn_id IS NOT NULL"):
        assert rows[row] @ rows[other] == pytest.approx(similarity, abs=1e-6)


def test_copies_of_a_text_are_found_as_with_full_precision(half, tmp_path):
    full = build(tmp_path / "full", "float32")
    for query in ("SELECT row_id FROM far ORDER BY 1", "SELECT row_id FROM best ORDER BY 1"):
        assert half.sql(query) == full.sql(query)
    assert len(half.sql("SELECT row_id FROM far")) == 10  # two texts stand there twice, and all copies go


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_embeddings_stay_embeddings_through_a_query(half, tmp_path, precision):
    project = half if precision == "float16" else build(tmp_path / "full", precision)
    assert project.sql("SELECT row_id FROM best_of_copy ORDER BY 1") == project.sql(
        "SELECT row_id FROM best ORDER BY 1"
    )
    assert project.sql("SELECT count(*) FROM copy WHERE min_neighbor_distance < 1e-6") == [(4,)]
