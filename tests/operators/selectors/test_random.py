import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from operators.fakes import run, table
from pydantic import ValidationError

from engine.draws import draw_keys
from engine.registry import operator
from engine.schema import digest

RANDOM = operator("select", "random")
IDS = [digest("row", str(i)) for i in range(3000)]
M64 = 2**64


def sample(ids, seed=17, **params):
    """The drawn ids in the order of the draw."""
    verdict = run(RANDOM, pa.table({"row_id": pa.array(ids, pa.string())}), seed=seed, **params)
    drawn = verdict.filter(verdict["selected"]).sort_by("select_rank")["row_id"].to_pylist()
    assert set(verdict.filter(pa.compute.invert(verdict["selected"]))["drop_reason"].to_pylist()) <= {"not_drawn"}
    return drawn


def mix(x):
    x = (x + 0x9E3779B97F4A7C15) % M64
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % M64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % M64
    return x ^ (x >> 31)


def key(row_id, seed):
    raw = row_id.encode()
    value = mix(mix(seed % M64) ^ len(raw))
    for at in range(0, len(raw), 8):
        value = mix(value ^ int.from_bytes(raw[at : at + 8].rjust(8, b"\0"), "little"))
    return value


@given(st.lists(st.text(max_size=30)), st.integers(-(2**70), 2**70), st.integers(0, 3))
def test_keys_equal_those_counted_one_by_one(ids, seed, skip):
    whole, part = pa.array(ids, pa.string()), pa.array(ids, pa.large_string()).slice(skip)
    for chunks in ([whole, part.cast(pa.string())], [part], []):
        expected = [key(row_id, seed) for chunk in chunks for row_id in chunk.to_pylist()]
        assert draw_keys(pa.chunked_array(chunks, None if chunks else pa.string()), seed).tolist() == expected


def test_the_sample_does_not_depend_on_the_order_of_the_rows():
    assert sample(IDS, k=100) == sample(IDS[::-1], k=100)


def test_another_seed_draws_others():
    both = set(sample(IDS, k=1000)) & set(sample(IDS, k=1000, seed=18))
    assert 260 < len(both) < 410  # a third of a third, as of independent draws: 333, and four deviations


def test_a_smaller_sample_is_part_of_a_larger_one():
    assert sample(IDS, k=100) == sample(IDS, k=300)[:100]


def test_new_rows_displace_only_few():
    before = set(sample(IDS[:2970], k=1000))
    after = set(sample(IDS, k=1000))
    new = after & set(IDS[2970:])
    assert 0 < len(new) < 30
    assert len(before - after) == len(new)


@pytest.mark.parametrize("ids", [IDS, [str(i) for i in range(3000)], ["x" * i for i in range(800)]])
def test_every_row_has_the_same_chance(ids):
    draws = np.array([draw_keys(pa.chunked_array([ids]), seed) for seed in range(200)])
    drawn = draws < 2**64 // 10
    counts = drawn.sum(axis=0)  # of each row: binomial, 200 draws of chance 0.1
    assert np.mean(counts) == pytest.approx(20, abs=0.6)
    assert np.var(counts) == pytest.approx(200 * 0.1 * 0.9, rel=0.2)
    together = drawn.astype(float).T @ drawn
    assert together[np.triu_indices(len(ids), 1)].mean() == pytest.approx(200 * 0.01, abs=0.1)


def test_the_draw_never_changes():
    """If this fails, the samples of users' specs change: raise the operator's version."""
    assert sample(["a", "b", "c", "d", "e", "f"], k=6, seed=17) == ["a", "f", "b", "d", "c", "e"]
    assert RANDOM.version == 1


@pytest.mark.parametrize(("share", "count"), [(0.5, 2), (0.3, 2), (0.1, 0), (1.0, 5)])
def test_a_share_is_rounded_to_whole_rows(share, count):
    assert len(sample(IDS[:5], share=share)) == count


def test_more_than_there_are():
    assert sorted(sample(IDS[:5], k=9)) == sorted(IDS[:5])
    assert sample([], k=9) == []


@pytest.mark.parametrize("params", [{}, {"k": 1, "share": 0.5}, {"k": 0}, {"share": 0}, {"share": 1.5}])
def test_wrong_parameters(params):
    with pytest.raises(ValidationError):
        RANDOM.params(**params)


def test_the_seed_is_part_of_its_fingerprint():
    assert RANDOM.seeded
    assert run(RANDOM, table(other=[1]), k=1).num_rows == 1
