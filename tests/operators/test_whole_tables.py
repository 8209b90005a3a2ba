"""Selectors, and scorers over whole tables, on a table of ordinary size: neither its order nor its cut matters.

That they keep the laws on tables of few and odd rows is shown by `selectors/test_selector_laws`.
"""

import numpy as np
import pyarrow as pa
import pytest
from operators.fakes import run

from engine.laws import check_score, check_select
from engine.registry import operator, operator_names

DIM = 8
SELECTORS = {
    "cluster_balanced": {"budget": 30, "clusters": 6, "score": "score"},
    "deita": {"budget": 30, "score": "score"},
    "density": {"budget": 30},
    "dpp": {"budget": 10},
    "facility_location": {"budget": 20, "k": 16},
    "filter": {"where": "score > 0.5"},
    "isa": {"budget": 30},
    "k_center": {"budget": 20},
    "length_following": {},
    "magpie": {},
    "min_neighbor_distance": {"min_distance": 0.002},
    "mixture": {"budget": 30, "by": "source", "shares": {"a": 0.5, "b": 0.5}, "short": "keep_short"},
    "novelty": {},
    "random": {"k": 30},
    "semdedup": {"clusters": 4},
    "stratified": {"budget": 30, "by": "source"},
    "top_k": {"k": 30, "by": "score"},
    "weighted": {"budget": 30, "weight": "score"},
}
SCORERS = {
    "contaminated": {"n": 5},
    "exact_duplicate": {},
    "isa": {},
    "min_neighbor_distance": {},
    "minhash_duplicate": {},
    "semantic_duplicate": {},
}


def pool(name="", n=200, seed=0):
    """Rows with every column that an operator may read; near-duplicates, and some rows that can't be compared."""
    rng = np.random.default_rng(seed)
    vectors = np.repeat(rng.normal(size=(n // 4, DIM)), 4, axis=0) + 0.05 * rng.normal(size=(n // 4 * 4, DIM))
    vectors = vectors.astype(np.float32)
    vectors[3], vectors[7, 2] = 0, np.nan
    score = rng.random(n).round(2)  # with ties
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), DIM, mask=pa.array(np.arange(n) == 11))
    words = np.array(["red", "green", "blue", "old", "new", "car", "house", "tree"])
    texts = [" ".join(words[rng.integers(0, 8, 12)]) for _ in range(n // 2)]
    columns = {
        "row_id": [f"r{i:03}" for i in rng.permutation(n)],
        "embedding": lists,
        "score": pa.array(score, mask=np.arange(n) == 5),
        "source": pa.array(np.where(rng.random(n) < 0.7, "a", "b"), mask=np.arange(n) == 13),
        "text": texts * 2,
        "isa_loglik": pa.array(rng.normal(size=n), mask=np.arange(n) == 17),
        "length_score": pa.array(rng.random(n)),
    }
    return side_columns(name, pa.table(columns))


def side_columns(name, table):
    """Columns that only some selectors read, so that the others are tried without them."""
    if name == "length_following":
        table = table.append_column("length_requests", pa.array(np.ones(table.num_rows)))
        for column, scale in (("required_length", 100), ("response_length", 110)):
            table = table.append_column(column, pa.array((np.arange(table.num_rows) % 7 + 1) * scale))
    if name == "magpie":
        for column in ("instruction", "response"):
            table = table.append_column(column, table["text"])
        for column, label in (("input_quality", "good"), ("difficulty", "easy"), ("task_category", "Math")):
            table = table.append_column(column, pa.array([label] * table.num_rows, pa.string()))
        table = table.append_column("reward", table["score"])
    return table


def expressions(op, params, table):
    """The values of a selector's SQL expressions, as the engine hands them over."""
    known = {name: table[name] for name in table.column_names}
    for name, text in op.expressions_of(op.params(**params)).items():
        values = pa.array(np.arange(table.num_rows) % 2 == 0) if name == "where" else known[text]
        table = table.drop_columns([name]) if name in table.column_names else table
        table = table.append_column(name, values)
    return table


def select(name, table, part_rows=1000):
    """A verdict on a table, in its order, that has passed the laws."""
    op, params = operator("select", name), SELECTORS[name]
    found = run(op, expressions(op, params, table), part_rows=part_rows, **params)
    return check_select(found, table["row_id"], name)


def by_id(verdict):
    """What became of each row; the similarity as far as float32 products agree."""
    columns = ("row_id", "selected", "drop_reason", "nn_id", "nn_sim")
    rows = sorted(zip(*(verdict[column].to_pylist() for column in columns), strict=True))
    return [(*row[:4], None if row[4] is None else round(row[4], 4)) for row in rows]


def test_every_selector_is_tried():
    assert set(SELECTORS) == set(operator_names("select"))


@pytest.mark.parametrize("name", sorted(SELECTORS))
def test_neither_the_order_nor_the_cut_matters(name):
    table = pool(name)
    if name == "filter":
        table = table.sort_by("row_id")  # its `where` is made of positions here
    whole = by_id(select(name, table))
    assert any(selected for _, selected, *_ in whole)
    for seed in (1, 2):
        mixed = table if name == "filter" else table.take(np.random.default_rng(seed).permutation(table.num_rows))
        assert by_id(select(name, mixed, part_rows=37 * seed)) == whole


def test_every_scorer_over_whole_tables_is_tried():
    assert set(SCORERS) == {name for name in operator_names("score") if operator("score", name).by_table}


def score(name, table, part_rows=1000):
    sides = {"benchmarks": pool(name, seed=1).slice(0, 20)}
    found = run(operator("score", name), table, part_rows=part_rows, sides=sides, **SCORERS[name])
    check_score(found, table["row_id"], name)
    return sorted((tuple(_rounded(v) for v in row.values()) for row in found.to_pylist()), key=lambda row: row[0])


def _rounded(value):
    return round(value, 4) if isinstance(value, float) else value


@pytest.mark.parametrize("name", sorted(SCORERS))
def test_no_score_depends_on_the_order_or_the_cut(name):
    table = pool(name)
    whole = score(name, table)
    for seed in (1, 2):
        mixed = table.take(np.random.default_rng(seed).permutation(table.num_rows))
        assert score(name, mixed, part_rows=37 * seed) == whole


@pytest.mark.parametrize("name", sorted(SCORERS))
def test_scores_of_a_table_without_rows(name):
    assert score(name, pool(name).slice(0, 0)) == []
