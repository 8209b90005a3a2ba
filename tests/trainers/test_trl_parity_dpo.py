"""The same step as TRL's DPOTrainer and KTOTrainer: loss and every gradient, in float32, however ours is batched."""

from __future__ import annotations

import os
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_model import build_tiny_model
from tuning import pairs, rows_of, write_handoff

torch = pytest.importorskip("torch", reason="needs the extra `train`")
trl = pytest.importorskip("trl", reason="needs the extra `dev`")

from accelerate import Accelerator  # noqa: E402
from datasets import Dataset  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback  # noqa: E402

from trainers.config import DpoConfig  # noqa: E402
from trainers.data.folder import Base, open_handoff  # noqa: E402
from trainers.data.plan import Plan  # noqa: E402
from trainers.data.tokens import load_tokenizer, tokenise  # noqa: E402
from trainers.dpo import Feedback, Pairs  # noqa: E402
from trainers.model.loading import build_policy  # noqa: E402
from trainers.objectives.reference import live  # noqa: E402

ROWS = 8
DEVICE = torch.device("cpu")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The policy's base, and another model for its reference."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    folder = tmp_path_factory.mktemp("parity")
    return build_tiny_model(folder / "base"), build_tiny_model(folder / "other", seed=1)


class Catch(TrainerCallback):
    """Keeps the gradients that the optimiser would see."""

    def on_pre_optimizer_step(self, *_, model, **__):
        self.gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def trl_step(trainer_class, config_class, models, rows, folder, **options):
    """Loss and gradients of one optimiser step of TRL on all rows."""
    given = config_class(
        output_dir=str(folder), max_steps=1, per_device_train_batch_size=ROWS, max_length=128, learning_rate=0.0,
        max_grad_norm=1e9, logging_steps=1, use_cpu=True, bf16=False, report_to="none", disable_tqdm=True,
        gradient_checkpointing=False, save_strategy="no", **options,
    )  # fmt: skip
    policy, reference = (
        AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32, attn_implementation="sdpa") for model in models
    )
    caught = Catch()
    trainer = trainer_class(
        model=policy,
        ref_model=reference,
        args=given,
        train_dataset=Dataset.from_list([{n: v for n, v in row.items() if n != "row_id"} for row in rows]),
        processing_class=AutoTokenizer.from_pretrained(models[0]),
        callbacks=[caught],
    )
    trainer.train()
    return trainer.state.log_history[0]["loss"], caught.gradients


def our_step(objective, policy, batches):
    policy.zero_grad()
    loss = 0.0
    for batch in batches:
        scored = policy(batch, objective)
        scored.loss.backward()
        loss += float(scored.loss.detach())
    return loss, {name.removeprefix("model."): parameter.grad for name, parameter in policy.named_parameters()}


def assert_same(ours, theirs):
    assert ours[0] == pytest.approx(theirs[0], rel=1e-5, abs=1e-5)
    assert ours[1].keys() == theirs[1].keys()
    for name, grad in ours[1].items():
        torch.testing.assert_close(grad, theirs[1][name], atol=1e-5, rtol=1e-5, msg=name)


@pytest.mark.parametrize(
    ("loss", "params"),
    [
        ("sigmoid", {"beta": 0.3}),
        ("hinge", {}),
        ("ipo", {"beta": 0.5}),
        ("robust", {"label_smoothing": 0.2}),
        ("sigmoid_norm", {"beta": 5.0}),
    ],
)
def test_loss_and_gradients_of_pairs_are_those_of_trl(models, tmp_path, loss, params):
    rows = pairs(ROWS)
    theirs = trl_step(trl.DPOTrainer, trl.DPOConfig, models, rows, tmp_path / "trl", loss_type=[loss], **params)
    folder = write_handoff(tmp_path / "h", models[0], rows, trainer="dpo")
    for packing, size in ((True, 16), (False, 3)):
        config = DpoConfig(loss=loss, max_length=128, packing=packing, micro_batch_size=size, **params)
        handoff = open_handoff(folder)
        tokens, _ = tokenise(handoff, load_tokenizer(handoff.base, None), config)
        plan = Plan(tokens, config, 3, together=2)
        policy, other = (build_policy(Base(str(model)), config, DEVICE, 400) for model in models)
        objective = Pairs(plan, config, live(other, plan, Accelerator(cpu=True)), DEVICE)
        window = plan.window(0)
        assert len(window.rows) == 2 * ROWS
        assert_same(our_step(objective, policy, plan.batches(window, objective.weights(window))), theirs)


def moved_on(tokens):
    """Each prompt with the answer of the row before it, as TRL pairs them within a batch."""
    spans = list(zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True))
    split = [(tokens.ids[a:b], tokens.mask[a:b], int(np.argmax(tokens.mask[a:b]))) for a, b in spans]
    rows, masks = [], []
    for (ids, mask, at), (other, scored, begins) in zip(split, [split[-1], *split[:-1]], strict=True):
        rows.append([*ids[:at], *other[begins:]])
        masks.append([*mask[:at], *scored[begins:]])
    return rows_of(*rows, targets=masks)


def test_loss_and_gradients_of_single_answers_are_those_of_trl(models, tmp_path):
    models = models[::-1]  # by which z isn't 0
    rows = [
        {"row_id": row["row_id"], "prompt": row["prompt"], "completion": row["chosen"], "label": number % 3 > 0}
        for number, row in enumerate(pairs(ROWS))
    ]
    params = {"beta": 0.3, "desirable_weight": 1.5, "undesirable_weight": 0.5}
    theirs = trl_step(trl.KTOTrainer, trl.KTOConfig, models, rows, tmp_path / "trl", **params)
    folder = write_handoff(tmp_path / "h", models[0], rows, trainer="dpo")
    good = np.array([row["label"] for row in rows])
    for packing, size in ((True, 16), (False, 3)):
        config = DpoConfig(loss="kto", max_length=128, packing=packing, micro_batch_size=size, **params)
        handoff = open_handoff(folder)
        tokens, _ = tokenise(handoff, load_tokenizer(handoff.base, None), config)
        plan, accelerator = Plan(tokens, config, 3), Accelerator(cpu=True)
        others = plan.over(moved_on(tokens))
        policy, other = (build_policy(Base(str(model)), config, DEVICE, 400) for model in models)
        references = (live(other, rows, accelerator) for rows in (plan, others))
        objective = Feedback(plan, config, next(references), DEVICE, good, others, next(references))
        batches = objective.batches(SimpleNamespace(accelerator=accelerator, model=policy), plan.window(0))
        assert_same(our_step(objective, policy, batches), theirs)
        assert objective.mismatched > 0
