"""Embeddings of half precision through a real build: store, laws, SQL, data tests, and every operator over vectors."""

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
      - {score: embedding, model: embedder, params: {precision: float16}}
      - {score: length}
  copy:
    sql: SELECT row_id, embedding FROM pool
    scores: [{score: min_neighbor_distance}, {score: semantic_duplicate}]
  apart:
    select: semdedup
    from: pool
    params: {eps: 0.1, clusters: 2}
    tests: [{rows: {min: 12, max: 12}}]
  best:
    select: deita
    from: pool
    params: {budget: 5, max_similarity: 0.9, score: n_chars}
  far: {select: min_neighbor_distance, from: pool, params: {min_distance: 0.001}}
"""


@pytest.fixture
def built(tmp_path):
    texts = [f"{word} stands {i} times alone in row {i * i}" for i, word in enumerate(["red", "green", "blue"] * 4)]
    project = Project(tmp_path).spec(SPEC).data([{"text": text} for text in [*texts, texts[3], texts[7]]])
    assert project.build().exit_code == ExitCode.DONE
    return project


def test_the_store_holds_half_precision_and_sql_reads_it(built):
    kinds = built.sql("SELECT DISTINCT typeof(embedding), len(embedding) FROM pool")
    assert kinds == [("FLOAT[64]", 64)]
    lengths = built.sql("SELECT min(list_dot_product(embedding::FLOAT[], embedding::FLOAT[])) FROM pool")
    assert lengths[0][0] == pytest.approx(1, abs=1e-3)
