import numpy as np
import pyarrow as pa
import pytest
from operators.fakes import run, table
from pydantic import ValidationError

from engine.operators.selectors._magpie_rules import PRESETS, MagpieParams
from engine.registry import operator

MAGPIE = operator("select", "magpie")


def vectors(rows):
    return pa.array([list(map(float, row)) for row in rows], pa.list_(pa.float32(), len(rows[0])))


def angles(*degrees):
    return vectors([(np.cos(np.radians(a)), np.sin(np.radians(a))) for a in degrees])


def outcome(batch, **params):
    """The kept row ids in the order of pick, and the reasons of the others."""
    rows = run(MAGPIE, batch, **params).to_pylist()
    kept = sorted((row for row in rows if row["selected"]), key=lambda row: row["select_rank"])
    return [row["row_id"] for row in kept], {row["row_id"]: row["drop_reason"] for row in rows if not row["selected"]}


def test_direct_neighbours_and_no_transitive_closure():
    """A~B and B~C, A and C far apart: only A survives; a row alone survives."""
    a = np.degrees(np.arccos(1 - 0.04 / 2))  # a squared distance of 0.04
    batch = table(embedding=angles(0, a, 2 * a, 90))
    verdict = run(MAGPIE, batch, preset="none", duplicate_distance=0.05).to_pylist()
    assert [row["selected"] for row in verdict] == [True, False, False, True]
    assert [row["nn_id"] for row in verdict] == [None, "r0", "r1", None]
    assert verdict[1]["nn_sim"] == pytest.approx(0.98, abs=1e-6)
    assert verdict[1]["drop_reason"] == "near_duplicate"


def test_distance_to_the_nearest_other_row():
    batch = table(embedding=vectors([(1, 0), (2, 0), (0, 1)]))  # the first two have one direction
    kept, dropped = outcome(batch, preset="none", distance_above=0.0)
    assert kept == ["r2"]
    assert dropped == {"r0": "distance is not above 0", "r1": "distance is not above 0"}


@pytest.mark.parametrize("limit", [0.02, 0.05, 0.5])
def test_both_rules_against_all_pairs(limit):
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(2500, 6))
    rows[::7] = rows[0] + rng.normal(size=(len(rows[::7]), 6)) * 0.1
    batch = pa.table({"row_id": [f"r{i:04}" for i in range(2500)], "embedding": vectors(rows)})
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    distances = 2 - 2 * unit @ unit.T
    np.fill_diagonal(distances, np.inf)

    first = run(MAGPIE, batch, preset="none", duplicate_distance=limit)
    near = np.tril(distances < limit)
    ids = batch["row_id"].to_pylist()
    assert first["nn_id"].to_pylist() == [ids[row.argmax()] if row.any() else None for row in near]
    alone = run(MAGPIE, batch, preset="none", distance_above=limit)
    assert alone["selected"].to_pylist() == (distances.min(1) > limit).tolist()


def test_a_row_without_a_vector_can_not_be_compared():
    batch = table(embedding=pa.array([[1.0, 0.0], None, [0.0, 0.0], [0.0, 1.0]], pa.list_(pa.float32(), 2)))
    kept, dropped = outcome(batch, preset="none", duplicate_distance=0.05)
    assert kept == ["r0", "r3"]
    assert dropped == {"r1": "no_embedding", "r2": "no_embedding"}


def ten_rows(**changes):
    columns = {
        "input_quality": ["good", "excellent", "poor", "good", None, "average", "good", "good", "good", "excellent"],
        "reward": [1.0, 2.0, 9.0, -10.0, 1.0, 1.0, None, 1.0, 1.0, 1.0],
        "instruction": ["a", "b", "c", "d", "e", "f", "g", "Sort these: ", "i", "j"],
        "response": ["xx", "xxx", "x" * 50, "x", "x", "x", "x", "x" * 40, "x" * 30, "xxx"],
        "embedding": angles(0, 20, 40, 60, 80, 100, 120, 140, 1, 160),
    }
    return table(**columns | changes)


def test_length_comes_after_the_boolean_rules():
    kept, dropped = outcome(ten_rows(), longest=2)
    assert kept == ["r1", "r9"]  # the longest rows were poor, ended with a colon, or repeated r0
    assert dropped == {
        "r0": "shorter_response",
        "r2": "input_quality is not good or excellent",
        "r3": "reward is not above -10",
        "r4": "input_quality is not good or excellent",  # a null tag never passes
        "r5": "input_quality is not good or excellent",
        "r6": "reward is not above -10",  # nor does a null reward
        "r7": "instruction ends with a colon",
        "r8": "near_duplicate",
    }


def test_rules_are_overridden_and_left_out():
    kept, _ = outcome(ten_rows(), quality=["poor"], longest=9)
    assert kept == ["r2"]
    kept, _ = outcome(ten_rows(), without=["quality", "duplicate_distance", "longest"])
    assert kept == ["r0", "r1", "r2", "r4", "r5", "r8", "r9"]
    assert set(MAGPIE.reads_of(MagpieParams(preset="none", reward_min=0.0))) == {"reward"}
    assert "embedding" not in MAGPIE.reads_of(MagpieParams(without=["duplicate_distance"]))


def test_air():
    batch = table(
        input_quality=["good"] * 6,
        difficulty=["medium", "easy", "very hard", None, "hard", "hard"],
        reward_difference=[0.5, 0.5, 0.0, 0.5, None, 0.1],
        response=["xx", "x", "x", "x", "x", "xxx"],
        embedding=angles(0, 20, 40, 60, 80, 100),
    )
    kept, dropped = outcome(batch, preset="air")
    assert kept == ["r5", "r0"]
    assert dropped == {
        "r1": "difficulty is not medium or hard or very hard",
        "r2": "reward_difference is not above 0",
        "r3": "difficulty is not medium or hard or very hard",
        "r4": "reward_difference is not above 0",
    }


def test_pro_takes_its_bound_in():
    batch = table(input_quality=["average", "good", "poor"], reward=[-10.0, -10.1, 5.0], response=["a", "b", "c"])
    assert outcome(batch, preset="pro")[0] == ["r0"]


def talk(*users):
    return [m for text in users for m in ({"role": "user", "content": text}, {"role": "assistant", "content": "a:"})]


def test_mt():
    batch = table(
        input_quality=["good"] * 5,
        instruction=["a", "b\n" * 5, "c\n" * 5, "d\n" * 4, "e"],
        task_category=["Math", "Math", "Coding & Debugging", None, None],
        messages=[talk("x", "y:"), talk("x"), talk("x:", "y"), talk("x", "y", "z:"), None],
        response=["xxxx", "x", "xx", "xxx", "x"],
    )
    kept, dropped = outcome(batch, preset="mt", longest=3)
    assert kept == ["r3", "r2"]  # r0 takes a place by its length and loses it by its second turn
    assert dropped == {
        "r0": "second turn ends with a colon",
        "r1": "more than 4 newlines",
        "r4": "shorter_response",
    }


def test_presets_are_what_is_documented():
    assert PRESETS["notebook"].duplicate_distance == 0.05
    assert {name: rules.longest for name, rules in PRESETS.items()} == {
        "none": None, "notebook": 300_000, "air": 300_000, "pro": 300_000, "mt": 500_000,
    }  # fmt: skip


@pytest.mark.parametrize(
    "params",
    [{"preset": "best"}, {"quality": []}, {"quality": ["Good"]}, {"longest": 0}, {"without": ["length"]},
     {"without": ["longest"], "longest": 3}, {"duplicate_distance": 0.0}],
)  # fmt: skip
def test_wrong_parameters(params):
    with pytest.raises(ValidationError):
        MagpieParams(**params)
