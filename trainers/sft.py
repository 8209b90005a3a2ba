"""`python -m trainers.sft FOLDER --out OUT`: supervised fine-tuning of a hand-off folder, alone or under a launcher.

Exit codes: 0 trained, 1 can't train (the reason is on standard error), 2 wrong usage, 130 told to stop, with a
checkpoint from which the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainers import checkpoint
from trainers.batches import Plan
from trainers.config import SftConfig, from_params, to_params
from trainers.console import Console
from trainers.folder import Handoff, HandoffError, open_handoff
from trainers.loop import Trainer, TrainingError
from trainers.metrics import Metrics, Work
from trainers.model import save_model
from trainers.optimizers import Optimizers
from trainers.packing import efficiency
from trainers.policy import Policy, build_policy
from trainers.template import load_tokenizer
from trainers.tokens import tokenise

if TYPE_CHECKING:
    from accelerate import Accelerator


def train(folder: Path, out: Path, *, json_lines: bool = False) -> bool:
    """Train, from the newest checkpoint in `out` if there is one; whether it is finished, or was told to stop.

    Raises:
        HandoffError: folder, base, or what `out` already holds don't allow it.
        TrainingError: loss or gradients became infinite or undefined.
    """
    from accelerate import Accelerator
    from accelerate.utils import set_seed
    from transformers.utils import logging

    logging.disable_progress_bar()
    handoff = open_handoff(folder)
    config = from_params(handoff.params)
    accelerator = Accelerator(mixed_precision="no")  # the policy casts by itself
    console = Console(json_lines=json_lines, first=accelerator.is_main_process)
    out.mkdir(parents=True, exist_ok=True)
    set_seed(handoff.seed)
    tokenizer = load_tokenizer(handoff.base, config.chat_template)
    tokens, _ = tokenise(handoff, tokenizer, config)
    plan = Plan(tokens, config, handoff.seed, accelerator.device.type)
    identity = _identity(handoff, config, plan, accelerator)
    if _trained_already(out, identity):
        console.done(steps=plan.steps, model=str(out / "model"), already=True)
        return True
    policy = build_policy(handoff.base, config, accelerator.device, len(tokenizer))
    optimizers = Optimizers(policy, config, plan.steps)
    set_seed(handoff.seed, device_specific=True)
    work = Work(policy.causal, float(plan.lengths.mean()), accelerator.device, accelerator.num_processes)
    trainer = Trainer(accelerator, accelerator.prepare_model(policy), optimizers, plan, work)
    run = _Run(trainer, policy, identity, out, console)
    console.start(
        steps=plan.steps,
        rows=len(plan.lengths),
        tokens=int(plan.lengths.sum()),
        target_tokens=int(plan.targets.sum()),
        packs=plan.packs,
        pack_efficiency=efficiency(plan.lengths, plan.packs, config.max_length),
        attention=policy.attention,
        dtype=str(policy.dtype).removeprefix("torch."),
        parameters=sum(parameter.numel() for parameter in policy.parameters() if parameter.requires_grad),
        processes=accelerator.num_processes,
        resumed_at=run.done,
    )
    if not run.go_on():
        return False
    if accelerator.is_main_process:
        run.metrics.write(out)
        save_model(policy, tokenizer, handoff.base, out, identity)
    accelerator.wait_for_everyone()
    last = run.metrics.steps[-1]
    console.done(steps=plan.steps, loss=last.loss, model=str(out / "model"), peak_memory=last.peak_memory)
    return True


class _Run:
    """A trainer with its checkpoints, metrics and signals."""

    def __init__(self, trainer: Trainer, policy: Policy, identity: dict[str, Any], out: Path, console: Console) -> None:
        self.trainer, self.policy, self.identity, self.out, self.console = trainer, policy, identity, out, console
        self.accelerator = trainer.accelerator
        self.metrics, self.done = Metrics(), 0
        self.told_to_stop = False
        found = checkpoint.newest(out)
        if found:
            self.done = checkpoint.read_record(found, identity)
            self.metrics = checkpoint.load(found, self.accelerator.process_index, policy, trainer.optimizers)

    def go_on(self) -> bool:
        """Train to the end, or until told to stop; whether it came to the end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        plan = self.trainer.plan
        for step in self.trainer.steps(self.done, lambda: self.told_to_stop):
            rows = step.window.rows
            self.metrics.add(step.record, step.window.epoch, plan.row_ids.take(rows), plan.targets[rows], step.nll)
            self.console.step(step.record, plan.steps)
            self.done = step.record.step
            due = plan.config.save_steps and self.done % plan.config.save_steps == 0
            if (step.stop or due) and self.done < plan.steps:
                folder = self._save()
                if step.stop:
                    self.console.stopped(step=self.done, checkpoint=str(folder))
        return self.done == plan.steps

    def _on_signal(self, *_: Any) -> None:
        self.told_to_stop = True

    def _save(self) -> Path:
        partial = checkpoint.partial_of(self.out, self.done)
        if self.accelerator.is_main_process:
            checkpoint.begin(partial)
        self.accelerator.wait_for_everyone()
        checkpoint.save_process(partial, self.accelerator.process_index)
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            record = {"step": self.done, "identity": self.identity}
            checkpoint.save_shared(partial, self.policy, self.trainer.optimizers, self.metrics, record)
            checkpoint.finish(partial, self.out, self.done, self.trainer.plan.config.keep_checkpoints)
        self.accelerator.wait_for_everyone()
        return checkpoint.folder_of(self.out, self.done)


def _identity(handoff: Handoff, config: SftConfig, plan: Plan, accelerator: Accelerator) -> dict[str, Any]:
    """What must be the same for a run to go on where another stopped; stored with checkpoints and with the model."""
    return {
        "data": handoff.fingerprint,
        "base": asdict(handoff.base),
        "hashes": dict(handoff.hashes),
        "seed": handoff.seed,
        "plan": plan.hash,
        "processes": accelerator.num_processes,
        "params": to_params(config),
    }


def _trained_already(out: Path, identity: dict[str, Any]) -> bool:
    """Whether `out` holds the model that would come out.

    Raises:
        HandoffError: it holds another.
    """
    record = out / "model" / "training.json"
    if not record.exists():
        return False
    differing = checkpoint.differences(json.loads(record.read_text(encoding="utf-8")), identity)
    if differing:
        raise HandoffError(f"{out} holds the model of another training ({'; '.join(differing)}): give another --out")
    return True


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m trainers.sft", description="Fine-tune on a hand-off folder.")
    parser.add_argument("folder", type=Path, help="the folder that holds handoff.json")
    parser.add_argument("--out", type=Path, required=True, help="where model, metrics and checkpoints go")
    parser.add_argument("--json", action="store_true", help="tell of every step on standard output, as JSON lines")
    given = parser.parse_args(arguments)
    try:
        return 0 if train(given.folder, given.out, json_lines=given.json) else 130
    except (HandoffError, TrainingError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
