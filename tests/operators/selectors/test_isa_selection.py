import numpy as np
import pyarrow as pa
import pytest
from operators.fakes import run, table
from project import Project
from pydantic import ValidationError

from engine.registry import operator

ISA = operator("select", "isa")


def picked(loglik, **params):
    """Positions in the order of pick."""
    verdict = run(ISA, table(isa_loglik=pa.array(loglik, pa.float64(), from_pandas=False)), **params)
    ranks = verdict["select_rank"].to_pylist()
    return sorted((i for i, rank in enumerate(ranks) if rank is not None), key=lambda i: ranks[i])


def logliks(n=300, seed=0):
    return np.random.default_rng(seed).normal(-4000, 300, n).round(-1)  # with many equal ones


@pytest.mark.parametrize(("direction", "sign"), [("signed", 1), ("magnitude", -1), ("normalised", -1)])
def test_a_direction_is_an_order_of_likelihoods_and_equals_go_by_id(direction, sign):
    loglik = logliks()
    ids = [f"r{i}" for i in range(len(loglik))]
    expected = sorted(range(len(loglik)), key=lambda i: (sign * loglik[i], ids[i]))
    assert picked(loglik, budget=300, direction=direction) == expected


@pytest.mark.parametrize("n", [2, 3, 5, 6, 40])
def test_normalised_is_the_largest_of_minus_q_log_q(n):
    loglik = np.random.default_rng(n).normal(size=n)
    p = np.exp((loglik - loglik.min()) / np.ptp(loglik))
    change = -(p / p.sum()) * np.log(p / p.sum())
    assert picked(loglik, budget=n, direction="normalised") == np.argsort(-change).tolist()


def test_dividing_p_by_its_sum_turns_the_order_round():
    loglik = np.random.default_rng(1).permutation(50)
    assert picked(loglik, budget=50, direction="normalised") == picked(loglik, budget=50)[::-1]


def test_the_budget_is_kept_exactly_and_the_rest_have_a_reason():
    loglik = [3.0, None, 1.0, float("nan"), 2.0]
    verdict = run(ISA, table(isa_loglik=pa.array(loglik, pa.float64(), from_pandas=False)), budget=2)
    assert verdict["select_rank"].to_pylist() == [None, None, 0, None, 1]
    assert verdict["drop_reason"].to_pylist() == ["below_cut", "no_score", None, "no_score", None]
    assert [len(picked(logliks(), share=share)) for share in (0.034, 0.1, 1.0)] == [10, 30, 300]
    assert len(picked(loglik, budget=100)) == 3
    assert picked([5.0] * 3, budget=2, direction="normalised") == [0, 1]
    with pytest.raises(ValidationError, match="not both"):
        ISA.params(budget=1, share=0.5)


SPEC = """
tables:
  pool:
    source: data.jsonl
    params: {{shape: raw}}
    scores:
      - {{score: embedding, model: embedder, columns: {{text: completion}}}}
      - {{score: isa, params: {{pca_dim: 8}}}}
  curated: {{select: isa, from: pool, params: {{budget: {budget}, direction: {direction}}}}}
models: {{embedder: {{use: hashing, params: {{dim: 16}}}}}}
"""


def test_in_a_spec_another_direction_or_budget_fits_nothing_anew(tmp_path):
    words = ["river", "stream", "bread", "winter", "silence", "storm", "town", "sea"]
    rng = np.random.default_rng(0)
    completions = [{"completion": " ".join(rng.choice(words, 6)), "label": bool(i % 2)} for i in range(60)]
    project = Project(tmp_path).data(completions).spec(SPEC.format(budget=6, direction="signed"))
    project.build()
    least = "SELECT row_id FROM pool ORDER BY isa_loglik, row_id LIMIT 6"
    assert project.sql("SELECT row_id FROM curated ORDER BY select_rank") == project.sql(least)
    project.spec(SPEC.format(budget=9, direction="magnitude"))
    states = project.states()
    assert states["pool.isa"] == states["pool.embedding"] == "cached"
    most = "SELECT row_id FROM pool ORDER BY isa_loglik DESC, row_id LIMIT 9"
    assert project.sql("SELECT row_id FROM curated ORDER BY select_rank") == project.sql(most)
    by_label = project.sql("SELECT label, avg(isa_responsibility) FROM pool GROUP BY label")
    assert all(0 <= weight <= 1 for _, weight in by_label)
