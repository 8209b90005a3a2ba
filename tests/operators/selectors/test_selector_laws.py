"""What holds for every selector, whatever the table: one verdict a row, ranks 0, 1, 2 ..., a reason for each drop."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operators.fakes import run

from engine.laws import check_select
from engine.registry import operator, operator_names
from engine.schema import VERDICT

numbers = st.none() | st.floats(width=32) | st.sampled_from([0.0, 1.0])
vectors = st.none() | st.lists(st.sampled_from([0.0, 1.0, -1.0, 0.1, float("inf")]), min_size=2, max_size=2)
rows = st.lists(st.tuples(st.text(max_size=4), numbers, vectors, st.none() | st.booleans()), unique_by=lambda r: r[0])

CASES = {
    "cluster_balanced": lambda k: {"budget": k, "clusters": 1 + k // 3, "score": "x"},
    "deita": lambda k: {"budget": k, "max_similarity": 0.7},
    "density": lambda k: {"budget": k},
    "dpp": lambda k: {"budget": k, "score": "x", "theta": k / 10},
    "facility_location": lambda k: {"budget": k, "k": 1 + k // 2, "method": ["lazy", "stochastic"][k % 2]},
    "filter": lambda _: {"where": "x"},
    "isa": lambda k: {"budget": k, "direction": ["signed", "magnitude", "normalised"][k % 3]},
    "k_center": lambda k: {"budget": k, "start": ["mean", "row_id", "score"][k % 3], "score": "x"},
    "length_following": lambda _: {},
    "magpie": lambda k: {"preset": "none", "distance_above": 0.1, "longest": k},
    "min_neighbor_distance": lambda k: {"min_distance": 0.1 * k, "clusters": 1 + k // 6},
    "mixture": lambda k: {"budget": k, "by": "x", "shares": {"1.0": 0.5, "0.0": 0.5}, "short": "keep_short"},
    "novelty": lambda k: {"max_similarity": k / 10},
    "random": lambda k: {"k": k},
    "semdedup": lambda k: {"eps": k / 10, "clusters": k, "nearest_clusters": 1 + k % 2},
    "stratified": lambda k: {"budget": k, "by": "x"},
    "top_k": lambda k: {"k": k, "by": "x"},
    "weighted": lambda k: {"budget": k, "weight": "x"},
}
UNBOUNDED = {"filter", "length_following", "min_neighbor_distance", "novelty", "semdedup"}
"""They keep whatever meets a condition; `filter` and `length_following` in the table's order."""


def given_table(drawn):
    ids, scores, embeddings, conditions = zip(*drawn, strict=True) if drawn else [()] * 4
    score = pa.array(scores, pa.float64(), from_pandas=False)
    return pa.table(
        {
            "row_id": pa.array(ids, pa.string()),
            "score": score,
            "by": score,
            "weight": score,
            "isa_loglik": score,
            "length_requests": score,
            "required_length": score,
            "response_length": score,
            "response": pa.array(ids, pa.string()),
            "text": pa.array([x and f"a {x}" for x in ids], pa.string()),
            "where": pa.array(conditions, pa.bool_()),
            "embedding": pa.array(embeddings, pa.list_(pa.float32(), 2)),
        }
    )


def test_every_selector_is_here():
    assert set(CASES) == set(operator_names("select"))


@pytest.mark.parametrize("name", CASES)
@settings(deadline=None, max_examples=40)  # an operator is imported when it is first used
@given(drawn=rows, k=st.integers(1, 9), seed=st.integers(0, 2**63))
def test_laws(name, drawn, k, seed):
    table = given_table(drawn)
    verdict = run(operator("select", name), table, seed=seed, **CASES[name](k))
    assert verdict.schema == VERDICT
    verdict = check_select(verdict, table["row_id"], name)
    ranks = verdict["select_rank"].drop_null().to_pylist()
    assert sorted(ranks) == list(range(len(ranks)))
    assert name in UNBOUNDED or len(ranks) <= k
    assert verdict["nn_id"].is_valid().equals(verdict["nn_sim"].is_valid())


@pytest.mark.parametrize("name", CASES)
@settings(deadline=None, max_examples=40)  # an operator is imported when it is first used
@given(drawn=rows, k=st.integers(1, 9), seed=st.integers(0, 2**63))
def test_the_order_of_the_rows_changes_no_verdict(name, drawn, k, seed):
    table = given_table(drawn)
    turned = table.take(np.arange(table.num_rows)[::-1])
    columns = ["row_id", "selected", "drop_reason", "nn_id", *([] if name in UNBOUNDED else ["select_rank"])]
    one, other = (
        run(operator("select", name), t, seed=seed, **CASES[name](k)).select(columns).sort_by("row_id").to_pylist()
        for t in (table, turned)
    )
    assert one == other
