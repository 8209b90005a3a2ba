from collections import Counter
from decimal import Decimal
from itertools import permutations

import numpy as np
import pyarrow as pa
import pytest
from operators.fakes import run, table
from project import Project
from pydantic import ValidationError

from engine.draws import draw, draw_keys
from engine.errors import SetwrightError
from engine.registry import operator
from engine.schema import digest

WEIGHTED = operator("select", "weighted")
NAN, INF = float("nan"), float("inf")


def sample(weights, ids=None, seed=17, **params):
    """The drawn ids in the order of the draw."""
    ids = ids or [f"r{i}" for i in range(len(weights))]
    batch = pa.table({"row_id": pa.array(ids, pa.string()), "weight": weights})
    verdict = run(WEIGHTED, batch, seed=seed, weight="w", **params)
    return verdict.filter(verdict["selected"]).sort_by("select_rank")["row_id"].to_pylist()


def test_the_largest_keys_of_efraimidis_and_spirakis_win():
    ids = [digest("row", str(i)) for i in range(500)]
    weights = np.random.default_rng(0).gamma(0.5, size=500)
    uniform = (draw_keys(pa.chunked_array([ids]), draw(17, "weighted")).astype(float) + 0.5) / 2**64
    keys = uniform ** (1 / weights)
    rows = np.argsort(-keys)[:60]
    assert np.diff(keys[rows]).max() < -1e-9  # nothing hangs on the last digits
    assert sample(weights, ids, budget=60) == [ids[i] for i in rows]


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
def test_rows_are_drawn_with_the_chances_of_drawing_one_after_the_other(temperature):
    """Among any three rows, whatever others are drawn with them."""
    weights, triples = np.array([1.0, 2.0, 5.0]), 5000
    tempered = weights ** (1 / temperature)
    order = [int(row[1:]) for row in sample(np.tile(weights, triples), share=1.0, temperature=temperature)]
    drawn = [[] for _ in range(triples)]
    for row in order:
        drawn[row // 3].append(row % 3)
    seen = Counter(map(tuple, drawn))
    for first, second, third in permutations(range(3)):
        chance = tempered[first] / tempered.sum() * tempered[second] / (tempered[second] + tempered[third])
        spread = np.sqrt(triples * chance * (1 - chance))
        assert seen[first, second, third] == pytest.approx(triples * chance, abs=4 * spread)


def test_equal_weights_of_any_size_draw_the_same_rows():
    expected = sample(np.ones(300), budget=40)
    assert len(set(expected)) == 40
    for weight in (1e-320, 1e-30, 7.0, 1e300):
        assert sample(np.full(300, weight), budget=40) == expected
    assert sample(np.ones(300), budget=40, temperature=9.0) == expected


def test_a_low_temperature_ranks_by_weight_and_a_high_one_forgets_it():
    weights = np.random.default_rng(1).permutation(np.geomspace(1, 10, 50))
    assert sample(weights, budget=50, temperature=1e-3) == [f"r{i}" for i in np.argsort(-weights)]
    assert sample(weights, budget=50, temperature=1e6) == sample(np.ones(50), budget=50)


def test_the_sample_depends_on_no_order_and_a_smaller_one_is_part_of_it():
    ids = [digest("row", str(i)) for i in range(1000)]
    weights = np.random.default_rng(2).integers(1, 9, 1000)
    large = sample(weights, ids, budget=300)
    assert sample(weights[::-1], ids[::-1], budget=300) == large
    assert sample(weights, ids, budget=100) == large[:100]
    assert sample(weights, ids, share=0.1) == large[:100]
    assert sample(weights, ids, seed=18, budget=300) != large


def test_new_rows_displace_as_many_as_are_drawn_of_them():
    ids, weights = [digest("row", str(i)) for i in range(1000)], np.tile([1.0, 3.0], 500)
    before, after = (set(sample(weights[:n], ids[:n], budget=300)) for n in (980, 1000))
    assert 0 < len(after - before) < 20
    assert after - before <= set(ids[980:])


def test_a_random_sample_before_it_skews_no_chance():
    ids = [digest("row", str(i)) for i in range(20_000)]
    drawn = run(operator("select", "random"), pa.table({"row_id": ids}), k=2000)
    few = drawn.filter(drawn["selected"])["row_id"].to_pylist()
    weights = np.tile([1.0, 3.0], 1000)
    heavy = sum(weights[few.index(row)] == 3 for row in sample(weights, few, budget=100))
    assert heavy == pytest.approx(75, abs=4 * np.sqrt(100 * 0.75 * 0.25))


def test_what_can_not_be_drawn_and_why():
    weights = pa.array([1.0, None, NAN, 0.0, -0.0, -2.0, INF, -INF, 5.0], from_pandas=False)
    verdict = run(WEIGHTED, table(weight=weights), weight="w", budget=9)
    assert verdict["drop_reason"].to_pylist() == [
        None, "no_weight", "no_weight", "zero_weight", "zero_weight", "negative_weight", "infinite_weight",
        "negative_weight", None,
    ]  # fmt: skip
    assert run(WEIGHTED, table(weight=weights), weight="w", budget=1)["drop_reason"].to_pylist().count("not_drawn") == 1


@pytest.mark.parametrize(
    "weights",
    [
        pa.array([4, 4, 0, None], pa.int8()),
        pa.array([True, True, False, None]),
        pa.array([Decimal("0.5"), Decimal("0.5"), Decimal("0.0"), None]),
        pa.array([4.0, 4.0, 0.0, None], pa.float32()),
    ],
)
def test_numbers_of_any_kind(weights):
    drawn = sample(weights, budget=4)
    assert drawn == sample(np.array([1.0, 1.0]), budget=4)
    assert len(drawn) == 2


def test_weights_that_are_no_numbers():
    assert sample(pa.nulls(3), budget=2) == []
    assert sample(pa.array([], pa.float64()), budget=2) == []
    with pytest.raises(SetwrightError, match="weight is of type string"):
        sample(pa.array(["much", "little"]), budget=1)


@pytest.mark.parametrize(
    "params", [{}, {"budget": 0}, {"budget": 1, "share": 0.5}, {"share": 2.0}, {"budget": 1, "temperature": 0.0}]
)
def test_wrong_parameters(params):
    with pytest.raises(ValidationError):
        WEIGHTED.params(weight="w", **params)


def test_the_draw_never_changes():
    """If this fails, the samples of users' specs change: raise the operator's version."""
    assert sample(np.arange(1.0, 7.0), list("abcdef"), budget=6) == ["b", "f", "c", "e", "d", "a"]
    assert WEIGHTED.version == 1


def test_in_a_spec(tmp_path):
    project = Project(tmp_path).data([{"text": f"row {i}", "votes": i % 3} for i in range(60)])
    project.spec(
        "tables:\n"
        "  pool: {source: data.jsonl}\n"
        "  few: {select: weighted, from: pool, params: {weight: votes, budget: 50}}\n"
    )
    project.build()
    assert project.sql("SELECT count(*), min(votes) FROM few") == [(40, 1)]
