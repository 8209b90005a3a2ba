"""The plan of a run: every row once per epoch, tensors as a plain loop would lay them out, denominators by hand."""

from __future__ import annotations

import numpy as np
import pytest
from tuning import random_rows, rows_of

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from trainers.batches import Plan  # noqa: E402
from trainers.config import SftConfig  # noqa: E402


def planned(tokens, seed=1, **params):
    return Plan(tokens, SftConfig(**{"max_length": 32, "batch_size": 4, **params}), seed)


def by_hand(plan, window, packs, width):
    """Ids, labels, positions and segments of packs, row by row and token by token."""
    ids, labels, positions, segments = ([[0] * width for _ in packs] for _ in range(4))
    for line, pack in enumerate(packs):
        place = 0
        for segment in range(window.starts[pack], window.starts[pack + 1]):
            row = window.rows[segment]
            start, end = plan.tokens.offsets[row : row + 2]
            for within, token in enumerate(range(start, end)):
                ids[line][place] = int(plan.tokens.ids[token])
                labels[line][place] = ids[line][place] if within and plan.tokens.mask[token] else -100
                positions[line][place], segments[line][place] = within, segment
                place += 1
        for within, padding in enumerate(range(place, width)):
            labels[line][padding], positions[line][padding], segments[line][padding] = -100, within, -1
    return ids, labels, positions, segments


@pytest.mark.parametrize("packing", [True, False])
def test_tensors_are_what_a_plain_loop_makes(packing):
    plan = planned(random_rows(40, 20), packing=packing, micro_batch_size=3)
    window = plan.window(1)
    first, second = plan.batches(window)
    for batch, packs in ((first, [0, 1, 2]), (second, [3])):
        width = max(plan.lengths[window.rows[window.starts[p] : window.starts[p + 1]]].sum() for p in packs)
        ids, labels, positions, segments = by_hand(plan, window, packs, int(width))
        assert batch.input_ids.tolist() == ids
        assert batch.labels.tolist() == labels
        assert batch.position_ids.tolist() == positions
        assert batch.segments.tolist() == segments


@pytest.mark.parametrize("packing", [True, False])
def test_an_epoch_sees_each_row_once_and_the_next_in_another_order(packing):
    plan = planned(random_rows(101, 20), packing=packing, epochs=2)
    assert plan.steps == 2 * plan.steps_per_epoch
    seen = [plan.window(step).rows for step in range(plan.steps)]
    first, second = np.concatenate(seen[: plan.steps_per_epoch]), np.concatenate(seen[plan.steps_per_epoch :])
    assert sorted(first) == sorted(second) == list(range(101))
    assert first.tolist() != second.tolist()


def test_a_window_depends_on_seed_and_step_alone():
    tokens = random_rows(60, 20)
    straight, late = planned(tokens, epochs=3), planned(tokens, epochs=3)
    windows = [straight.window(step) for step in range(straight.steps)]
    last = late.window(late.steps - 1)
    assert last.rows.tolist() == windows[-1].rows.tolist()
    assert planned(tokens, seed=2).window(0).rows.tolist() != windows[0].rows.tolist()


def test_the_hash_tells_plans_apart():
    tokens, others = random_rows(60, 20), random_rows(60, 20, seed=1)
    same = {planned(tokens).hash, planned(tokens, learning_rate=1.0).hash}
    different = {planned(others).hash, planned(tokens, seed=2).hash, planned(tokens, packing=False).hash}
    assert len(same) == 1
    assert len(same | different) == 4


def test_processes_share_a_window_and_make_as_many_passes():
    plan = planned(random_rows(60, 20), batch_size=5, micro_batch_size=1)
    window = plan.window(0)
    passes = [list(plan.batches(window, rank, 3)) for rank in range(3)]
    assert [len(mine) for mine in passes] == [2, 2, 2]
    segments = torch.cat([batch.segments.unique() for mine in passes for batch in mine])
    assert sorted(segments[segments >= 0].tolist()) == list(range(len(window.rows)))
    idle = passes[2][1]
    assert (idle.labels == -100).all()
    assert idle.weights.sum() == 0


@pytest.mark.parametrize(
    ("loss", "weights"),
    [
        ("token_mean", [1 / 6, 1 / 6, 1 / 6]),
        ("sum", [1, 1, 1]),
        ("per_sequence_mean", [1 / (5 * 2), 1, 1 / (1 * 2)]),
    ],
)
def test_weights_by_hand(loss, weights):
    # five targets, none (its only one is its first token), and one
    tokens = rows_of([5] * 6, [6] * 3, [7] * 2, targets=[[False] + [True] * 5, [True, False, False], [True, True]])
    plan = planned(tokens, loss=loss)
    window = plan.window(0)
    of_row = dict(zip(window.rows.tolist(), plan.weights(window).tolist(), strict=True))
    assert plan.targets.tolist() == [5, 0, 1]
    assert [of_row[0], of_row[2]] == pytest.approx([weights[0], weights[2]])
    (batch,) = plan.batches(window)
    expected = 6 if loss == "sum" else 1
    assert float(batch.weights.sum()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("params", "steps"),
    [({"epochs": 1}, 7), ({"epochs": 0.5}, 4), ({"epochs": 2.1}, 15), ({"max_steps": 3}, 3), ({"max_steps": 30}, 7)],
)
def test_steps_of_part_of_an_epoch_are_rounded_up(params, steps):
    tokens = rows_of(*[[5] * 32] * 25)  # 25 packs, of 4 a step
    plan = planned(tokens, **params)
    assert plan.steps == steps
    assert plan.window(6).packs == 1


def test_a_forward_pass_holds_what_suits_the_device():
    tokens = rows_of([5, 6])
    assert planned(tokens, max_length=256).micro_batch_size == 8
    assert Plan(tokens, SftConfig(max_length=256), 0, "cuda").micro_batch_size == 32
    assert planned(tokens, max_length=10_000).micro_batch_size == 1
    assert planned(tokens, micro_batch_size=5).micro_batch_size == 5
