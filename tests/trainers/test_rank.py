"""List-wise training as a command: its scores by a plain forward pass, its batches, its resumption, its tables."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_model import build_tiny_model
from tuning import talks, write_handoff

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from safetensors.torch import load_file  # noqa: E402

from trainers.config import RankConfig  # noqa: E402
from trainers.data.folder import Base, open_handoff  # noqa: E402
from trainers.data.items import item_sizes  # noqa: E402
from trainers.data.plan import Plan  # noqa: E402
from trainers.data.rankings import rewards_of  # noqa: E402
from trainers.data.tokens import load_tokenizer, tokenise  # noqa: E402
from trainers.loop.command import main, train  # noqa: E402
from trainers.model.loading import build_policy  # noqa: E402
from trainers.rank import RANK, Ranked  # noqa: E402

PARAMS = {"batch_size": 4, "max_length": 64, "learning_rate": 3e-3, "epochs": 2}
COUNT = 18
CLOCK = {"seconds", "tokens_per_s", "peak_memory", "mfu"}
GAPS = {"loss": "pro", "reward_gaps": True}
WORDS = ("loss", "rank_loss", "sft_loss", "rank_accuracy")


def rankings(count=COUNT, seed=0, words=9):
    """Rows of one question and two to five answers, of which a ranking takes two at least, in any order."""
    chance = random.Random(seed)
    rows = []
    for row in talks(count, seed, words):
        answers = [talk["messages"][1]["content"] for talk in talks(chance.randint(2, 5), chance.random(), words)]
        ranking = chance.sample(range(len(answers)), chance.randint(2, len(answers)))
        rewards = [None if i not in ranking else 2.0 - 0.5 * ranking.index(i) for i in range(len(answers))]
        prompt = row["messages"][0]["content"]
        rows.append({"row_id": row["row_id"], "prompt": prompt, "responses": answers, "train_ranking": ranking,
                     "rewards": rewards})  # fmt: skip
    return rows


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    return build_tiny_model(tmp_path_factory.mktemp("rank") / "base")


@pytest.fixture
def handoff(base, tmp_path):
    """Writes the folder `tmp_path/NAME` of some rankings, or of others."""

    def write(name="handoff", rows=None, **params):
        given = {"packing": False, **PARAMS, **params}
        return write_handoff(tmp_path / name, base, rows or rankings(), trainer="rank", **given)

    return write


def steps_of(out):
    return pq.read_table(out / "train_steps.parquet").to_pylist()


def rows_of(out):
    return pq.read_table(out / "train_metrics.parquet").to_pylist()


def scores_by_hand(base, row):
    """Mean log-probabilities and token counts of the ranked answers, each by a forward pass of its own."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    asked = [{"role": "user", "content": row["prompt"]}]
    begun = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=True)["input_ids"]
    found = []
    for place in row["train_ranking"]:
        talk = [*asked, {"role": "assistant", "content": row["responses"][place]}]
        ids = torch.tensor(tokenizer.apply_chat_template(talk, return_dict=True)["input_ids"])
        with torch.no_grad():
            logp = model(ids[None]).logits[0, :-1].log_softmax(-1).gather(1, ids[1:, None])[len(begun) - 1 :]
        found.append((float(logp.double().mean()), len(logp)))
    return [p for p, _ in found], [count for _, count in found]


def test_scores_are_means_over_each_answers_own_tokens_however_wide_the_batch(handoff, base, tmp_path):
    """And every ranking of a batch has its own best answer, not the first one's."""
    folder = handoff(batch_size=100, micro_batch_size=100, learning_rate=0.0, rank_weight=3.0, sft_weight=0.5, epochs=1)
    assert train(RANK, folder, tmp_path / "out")
    found = {row["row_id"]: row for row in rows_of(tmp_path / "out")}
    best, pairs, right = [], 0, 0
    for row in rankings():
        p, counts = scores_by_hand(base, row)
        hinges = [p[worse] - p[better] for worse in range(len(p)) for better in range(worse)]
        one = found[row["row_id"]]
        assert one["n_tokens"] == sum(counts)
        assert one["rank_loss"] == pytest.approx(sum(max(0.0, gap) for gap in hinges), abs=1e-4)
        assert one["sft_loss"] == pytest.approx(-p[0], abs=1e-4)
        assert one["loss"] == pytest.approx(3 * one["rank_loss"] + 0.5 * one["sft_loss"], abs=1e-4)
        assert one["rank_accuracy"] == pytest.approx(np.mean([gap < 0 for gap in hinges]))
        best, pairs, right = [*best, p[0]], pairs + len(hinges), right + sum(gap < 0 for gap in hinges)
    (step,) = steps_of(tmp_path / "out")
    assert step["score_best"] == pytest.approx(np.mean(best), abs=1e-4)
    assert step["rank_accuracy"] == pytest.approx(right / pairs)
    assert step["loss"] == pytest.approx(np.mean([row["loss"] for row in found.values()]), abs=1e-4)


@pytest.mark.parametrize(
    "params",
    [{"sft_weight": 0.0}, {"loss": "pro"}, GAPS, {"lora_rank": 4, "learning_rate": 2e-2}, {"packing": True}],
)
def test_the_order_of_answers_moves_towards_the_ranking(handoff, tmp_path, params):
    assert train(RANK, handoff(**{"epochs": 8, **params}), tmp_path / "out")
    course = {}
    for row in rows_of(tmp_path / "out"):
        course.setdefault(row["epoch"], []).append(row)
    first, last = (
        {name: np.mean([row[name] for row in course[epoch]]) for name in WORDS} for epoch in (0, max(course))
    )
    assert last["rank_loss"] < first["rank_loss"]
    assert last["rank_accuracy"] > first["rank_accuracy"] + 0.15
    if params.get("sft_weight") != 0:
        assert last["sft_loss"] < first["sft_loss"]


def windowed(folder, base, **params):
    """Loss and gradients of the first window, pass by pass."""
    handoff = open_handoff(folder)
    config = RankConfig(**{**handoff.params, **params})
    tokens, _ = tokenise(handoff, load_tokenizer(handoff.base, None), config)
    plan = Plan(tokens, config, 3, together=item_sizes(tokens))
    policy = build_policy(Base(str(base)), config, torch.device("cpu"), 400)
    objective = Ranked(plan, config, rewards_of(handoff, tokens) if config.reward_gaps else None)
    loss, window = 0.0, plan.window(0)
    for batch in plan.batches(window, objective.weights(window)):
        scored = policy(batch, objective)
        scored.loss.backward()
        loss += float(scored.loss.detach())
    return loss, {name: parameter.grad for name, parameter in policy.named_parameters()}


@pytest.mark.parametrize("params", [{}, {"loss": "pro"}, GAPS, {"length_exponent": 0.5}])
def test_however_a_window_is_split_and_packed_it_is_the_same(handoff, base, params):
    folder = handoff(batch_size=COUNT)  # all rankings are in the window, packed or not
    expected = windowed(folder, base, micro_batch_size=COUNT, **params)
    for other in ({"micro_batch_size": 1}, {"micro_batch_size": 4}, {"micro_batch_size": 2, "packing": True}):
        loss, gradients = windowed(folder, base, **other, **params)
        assert loss == pytest.approx(expected[0], abs=1e-5)
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, expected[1][name], atol=1e-5, rtol=1e-4)


def test_an_answer_that_the_ranking_leaves_out_changes_nothing(handoff, tmp_path):
    rows = rankings()
    fewer = [
        {
            **row,
            "responses": [row["responses"][place] for place in row["train_ranking"]],
            "train_ranking": list(range(len(row["train_ranking"]))),
        }
        for row in rows
    ]
    assert any(len(one["responses"]) > len(other["responses"]) for one, other in zip(rows, fewer, strict=True))
    for name, given in (("all", rows), ("ranked", fewer)):
        assert train(RANK, handoff(name, rows=given, epochs=1), tmp_path / "out" / name)
    assert rows_of(tmp_path / "out/all") == rows_of(tmp_path / "out/ranked")


def lasting(out):
    steps = pq.read_table(out / "train_steps.parquet")
    return (
        load_file(out / "model/model.safetensors"),
        pq.read_table(out / "train_metrics.parquet"),
        steps.select([name for name in steps.column_names if name not in CLOCK]),
    )


@pytest.mark.parametrize(
    "params", [{}, {**GAPS, "lora_rank": 4, "lora_dropout": 0.1, "packing": True, "batch_size": 1}]
)
def test_resumed_in_the_second_epoch_it_equals_the_unbroken_run_bit_for_bit(handoff, tmp_path, params):
    folder = handoff(save_steps=2, keep_checkpoints=9, **params)
    assert train(RANK, folder, tmp_path / "straight")
    checkpoints = sorted((tmp_path / "straight/checkpoints").iterdir())
    shutil.copytree(checkpoints[-1], tmp_path / "broken/checkpoints" / checkpoints[-1].name)
    assert train(RANK, folder, tmp_path / "broken")
    one, other = lasting(tmp_path / "straight"), lasting(tmp_path / "broken")
    assert int(checkpoints[-1].name[5:]) > one[2].num_rows / 2
    assert all(tensor.equal(other[0][name]) for name, tensor in one[0].items())
    assert one[1].equals(other[1])
    assert one[2].equals(other[2])


def test_bad_rows_end_the_command_with_their_names(handoff, tmp_path, capsys):
    rows = rankings()
    rows[5]["train_ranking"] = [0, 1, 0]
    assert main(RANK, [str(handoff(rows=rows)), "--out", str(tmp_path / "out")]) == 1
    assert "1 rows (r5, ...): train_ranking has 0 more than once" in capsys.readouterr().err
    assert main(RANK, [str(handoff(rows=rows, bad_rows="drop", epochs=1)), "--out", str(tmp_path / "out")]) == 0
    assert len(rows_of(tmp_path / "out")) == COUNT - 1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_do_what_one_does(handoff, tmp_path):
    """The last step has one ranking, and so one of the processes none."""
    params = {**GAPS, "rows": rankings(9), "batch_size": 4, "micro_batch_size": 3, "epochs": 2, "learning_rate": 1e-2}
    assert train(RANK, handoff(**params), tmp_path / "one")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "trainers.rank"]
    done = subprocess.run(
        [sys.executable, *launch, str(handoff("both", **params)), "--out", str(tmp_path / "two")],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=200,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    for one, two in zip(steps_of(tmp_path / "one"), steps_of(tmp_path / "two"), strict=True):
        for name in ("loss", "rank_loss", "sft_loss", "score_best", "score_worst"):
            assert one[name] == pytest.approx(two[name], abs=1e-3)
