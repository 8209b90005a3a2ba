"""The plan of a run: every row once per epoch, tensors as a plain loop would lay them out, denominators by hand."""

from __future__ import annotations

import numpy as np
import pytest
from tuning import random_rows, rows_of

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from trainers.config import SftConfig  # noqa: E402
from trainers.data.plan import Plan  # noqa: E402


def planned(tokens, seed=1, **params):
    return Plan(tokens, SftConfig(**{"max_length": 32, "batch_size": 4, **params}), seed)


def passes_of(plan, window, rank=0, world=1):
    """The forward passes; a row's weight is its place in the window."""
    return list(plan.batches(window, np.arange(len(window.rows), dtype=float), rank, world))


def by_hand(plan, window, packs, width):
    """Ids and positions of packs, and the targets with all that belongs to them, token by token."""
    ids, positions, targets = [[0] * width for _ in packs], [[0] * width for _ in packs], []
    for line, pack in enumerate(packs):
        place = 0
        for segment in range(window.starts[pack], window.starts[pack + 1]):
            row = window.rows[segment]
            start, end = plan.tokens.offsets[row : row + 2]
            for within, token in enumerate(range(start, end)):
                ids[line][place], positions[line][place] = int(plan.tokens.ids[token]), within
                if within and plan.tokens.mask[token]:
                    targets.append((line * width + place - 1, ids[line][place], token, row, segment, float(segment)))
                place += 1
        positions[line][place:] = range(width - place)
    return ids, positions, targets


@pytest.mark.parametrize("packing", [True, False])
def test_tensors_are_what_a_plain_loop_makes(packing):
    plan = planned(random_rows(40, 20), packing=packing, micro_batch_size=3)
    window = plan.window(1)
    first, second = passes_of(plan, window)
    for batch, packs in ((first, [0, 1, 2]), (second, [3])):
        width = max(plan.lengths[window.rows[window.starts[p] : window.starts[p + 1]]].sum() for p in packs)
        ids, positions, targets = by_hand(plan, window, packs, int(width))
        assert batch.input_ids.tolist() == ids
        assert batch.position_ids.tolist() == positions
        of_owner = (batch.rows, batch.segments, batch.weights)
        columns = (batch.sources, batch.targets, batch.places, *(column[batch.owners] for column in of_owner))
        assert list(zip(*(column.tolist() for column in columns), strict=True)) == targets


@pytest.mark.parametrize("packing", [True, False])
def test_rows_of_an_item_stay_together(packing):
    plan = Plan(random_rows(60, 20), SftConfig(max_length=20, batch_size=4, packing=packing), 1, together=2)
    assert plan.capacity == 40
    seen = [plan.window(step) for step in range(plan.steps)]
    rows = np.concatenate([window.rows for window in seen]).reshape(-1, 2)
    assert (rows[:, 0] % 2 == 0).all()
    assert (rows[:, 1] == rows[:, 0] + 1).all()
    assert sorted(rows[:, 0]) == list(range(0, 60, 2))
    for window in seen:
        assert (window.starts % 2 == 0).all()
        assert np.add.reduceat(plan.lengths[window.rows], window.starts[:-1]).max() <= 40
    assert packing == (plan.packs < 30)


@pytest.mark.parametrize("packing", [True, False])
def test_items_may_have_different_numbers_of_rows(packing):
    sizes = np.array([2, 5, 3, 1, 4] * 6)
    firsts = np.cumsum(sizes) - sizes
    config = SftConfig(max_length=20, batch_size=4, packing=packing)
    plan = Plan(random_rows(int(sizes.sum()), 20), config, 1, together=sizes)
    assert plan.capacity == 100
    seen = []
    for window in map(plan.window, range(plan.steps)):
        for start, end in zip(window.starts[:-1], window.starts[1:], strict=True):
            members = window.rows[start:end].tolist()
            assert plan.lengths[members].sum() <= 100
            while members:
                item = firsts.tolist().index(members[0])
                assert members[: sizes[item]] == list(range(firsts[item], firsts[item] + sizes[item]))
                seen.append(item)
                members = members[sizes[item] :]
    assert sorted(seen) == list(range(len(sizes)))
    assert packing == (plan.packs < len(sizes))


def test_what_is_known_by_target_is_summed_by_row():
    (batch,) = passes_of(plan := planned(random_rows(9, 20), micro_batch_size=9), plan.window(0))
    values = torch.rand(len(batch.targets))
    expected = [float(values[batch.owners == row].sum()) for row in range(len(batch.rows))]
    assert batch.by_row(values).tolist() == pytest.approx(expected)


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
    passes = [passes_of(plan, window, rank, 3) for rank in range(3)]
    assert [len(mine) for mine in passes] == [2, 2, 2]
    segments = torch.cat([batch.segments for mine in passes for batch in mine])
    assert sorted(segments.tolist()) == list(range(len(window.rows)))
    idle = passes[2][1]
    assert len(idle.targets) == len(idle.rows) == 0
    assert idle.input_ids.shape == (1, 2)


def test_a_first_token_is_no_target():
    tokens = rows_of([5] * 6, [6] * 3, [7] * 2, targets=[[False] + [True] * 5, [True, False, False], [True, True]])
    assert planned(tokens).targets.tolist() == [5, 0, 1]


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
