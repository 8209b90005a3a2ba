"""The same step as TRL's SFTTrainer: loss and every gradient, in float32, whichever way either of them batches."""

from __future__ import annotations

import os

import pytest
from tiny_model import build_tiny_model
from tuning import random_rows

torch = pytest.importorskip("torch", reason="needs the extra `train`")
trl = pytest.importorskip("trl", reason="needs the extra `dev`")

from accelerate import Accelerator  # noqa: E402
from datasets import Dataset  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback  # noqa: E402

from trainers.config import SftConfig  # noqa: E402
from trainers.data.folder import Base  # noqa: E402
from trainers.data.plan import Plan  # noqa: E402
from trainers.model.loading import build_policy  # noqa: E402
from trainers.sft import NextToken  # noqa: E402

ROWS = 16


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    os.environ["HF_HUB_OFFLINE"] = "1"
    return build_tiny_model(tmp_path_factory.mktemp("parity") / "base")


class Catch(TrainerCallback):
    """Keeps the gradients that the optimiser would see."""

    def on_pre_optimizer_step(self, *_, model, **__):
        self.gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def trl_step(base, tokens, folder, *, packing, passes):
    """Loss and gradients of one optimiser step of TRL on all rows."""
    spans = list(zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True))
    rows = {
        "input_ids": [tokens.ids[start:end].tolist() for start, end in spans],
        "completion_mask": [tokens.mask[start:end].astype(int).tolist() for start, end in spans],
    }
    options = trl.SFTConfig(
        output_dir=str(folder), max_steps=1, per_device_train_batch_size=ROWS // passes,
        gradient_accumulation_steps=passes, max_length=64, packing=packing, learning_rate=0.0, max_grad_norm=1e9,
        logging_steps=1, use_cpu=True, bf16=False, report_to="none", disable_tqdm=True, completion_only_loss=True,
        gradient_checkpointing=False, save_strategy="no", loss_type="nll",
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="sdpa")
    caught = Catch()
    trainer = trl.SFTTrainer(
        model=model,
        args=options,
        train_dataset=Dataset.from_dict(rows),
        processing_class=AutoTokenizer.from_pretrained(base),
        callbacks=[caught],
    )
    trainer.train()
    return trainer.state.log_history[0]["loss"], caught.gradients


def our_step(base, tokens, *, packing, size):
    config = SftConfig(max_length=64, batch_size=ROWS, packing=packing, micro_batch_size=size)
    plan = Plan(tokens, config, 3)
    policy = build_policy(Base(str(base)), config, Accelerator(cpu=True).device, 400)
    loss = 0.0
    window = plan.window(0)
    assert sorted(window.rows) == list(range(ROWS))
    objective = NextToken(plan, config.loss)
    for batch in plan.batches(window, objective.weights(window)):
        scored = policy(batch, objective)
        scored.loss.backward()
        loss += float(scored.loss.detach())
    return loss, {name.removeprefix("model."): parameter.grad for name, parameter in policy.named_parameters()}


@pytest.mark.parametrize(("packing", "passes"), [(False, 1), (False, 4), (True, 1)])
def test_loss_and_gradients_are_those_of_trl(base, tmp_path, packing, passes):
    tokens = random_rows(ROWS, 30)
    their_loss, theirs = trl_step(base, tokens, tmp_path, packing=packing, passes=passes)
    for ours_packed, size in ((True, 16), (True, 2), (False, 4)):
        loss, ours = our_step(base, tokens, packing=ours_packed, size=size)
        assert loss == pytest.approx(their_loss, abs=1e-5)
        assert ours.keys() == theirs.keys()
        for name, grad in ours.items():
            torch.testing.assert_close(grad, theirs[name], atol=1e-5, rtol=1e-5, msg=name)
