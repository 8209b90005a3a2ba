"""What all trainers have in common as commands: `python -m trainers.NAME FOLDER --out OUT`, alone or under a launcher.

Exit codes: 0 trained, 1 can't train (the reason is on standard error), 2 wrong usage, 130 told to stop, with a
checkpoint from which the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from trainers.config import RunConfig, from_params, to_params
from trainers.data.folder import Handoff, open_handoff
from trainers.data.packing import efficiency
from trainers.data.template import hashes, load_tokenizer
from trainers.errors import HandoffError
from trainers.loop import checkpoint, trackers
from trainers.loop.log import Log
from trainers.loop.metrics import Work
from trainers.loop.objective import Objective
from trainers.loop.optimizers import Optimizers
from trainers.loop.run import Run
from trainers.loop.saving import save_model
from trainers.loop.steps import Trainer, TrainingError
from trainers.model.loading import build_policy
from trainers.model.policy import Policy
from trainers.model.sharding import shard, whole

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import PreTrainedTokenizerFast

Config = TypeVar("Config", bound=RunConfig)


@dataclass(frozen=True)
class Given(Generic[Config]):
    """What an objective is made from."""

    handoff: Handoff
    config: Config
    tokenizer: PreTrainedTokenizerFast
    policy: Policy
    accelerator: Accelerator


@dataclass(frozen=True)
class Recipe(Generic[Config]):
    """A trainer: what may be said of it, and what it optimises."""

    config: type[Config]
    objective: Callable[[Given[Config]], Objective]


def train(recipe: Recipe[Any], folder: Path, out: Path, *, json_lines: bool = False) -> bool:
    """Train, from the newest checkpoint in `out` if there is one; whether it is finished, or was told to stop.

    Raises:
        HandoffError: folder, base, or what `out` already holds don't allow it.
        TrainingError: loss or gradients became infinite or undefined.
    """
    import torch
    from accelerate import Accelerator
    from accelerate.utils import set_seed
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    handoff = open_handoff(folder)
    config = from_params(recipe.config, handoff.params)
    trackers.check_installed(config.report_to)
    # Without a GPU accelerate heeds a launcher only if told to use the CPU; the policy casts by itself
    accelerator = Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision="no",
        log_with=None if config.report_to == "none" else config.report_to,
        project_dir=out,
    )
    out.mkdir(parents=True, exist_ok=True)
    log = Log(accelerator, out, json_lines=json_lines)
    tokenizer = load_tokenizer(handoff.base, config.chat_template)
    _check_hashes(handoff, hashes(tokenizer))
    identity = _identity(handoff, config, hashes(tokenizer), accelerator.num_processes)
    if _trained_already(out, identity):
        log.done(model=str(out / "model"), already=True)
        return True
    set_seed(handoff.seed)  # for fresh weights, which must be the same in all processes
    policy = build_policy(handoff.base, config, accelerator.device, len(tokenizer))
    set_seed(handoff.seed, device_specific=True)
    trainer = _trainer(recipe, Given(handoff, config, tokenizer, policy, accelerator))
    run = Run(trainer, policy, {**identity, "plan": trainer.plan.hash}, out, log)
    trackers.follow(accelerator, config.report_to, handoff.name, identity, out)
    log.start(**_facts(trainer, policy), resumed_at=run.done)
    if not run.go_on():
        return False
    weights = whole(policy.model.state_dict())
    if accelerator.is_main_process:
        run.metrics.write(out)
        save_model(policy, weights, tokenizer, handoff.base, out, identity)
    accelerator.wait_for_everyone()
    last = run.metrics.steps[-1]
    log.done(steps=last.step, loss=last.loss, model=str(out / "model"), peak_memory=last.peak_memory)
    return True


def main(recipe: Recipe[Any], arguments: list[str] | None = None) -> int:
    """The command line."""
    name = recipe.config.trainer
    parser = argparse.ArgumentParser(prog=f"python -m trainers.{name}", description="Train on a hand-off folder.")
    parser.add_argument("folder", type=Path, help="the folder that holds handoff.json")
    parser.add_argument("--out", type=Path, required=True, help="where model, metrics and checkpoints go")
    parser.add_argument("--json", action="store_true", help="tell of every step on standard output, as JSON lines")
    given = parser.parse_args(arguments)
    try:
        return 0 if train(recipe, given.folder, given.out, json_lines=given.json) else 130
    except (HandoffError, TrainingError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _trainer(recipe: Recipe[Config], given: Given[Config]) -> Trainer:
    accelerator, policy = given.accelerator, given.policy
    objective = recipe.objective(given)
    plan = objective.plan
    if given.config.sharding == "full" and accelerator.num_processes > 1:
        model: Any = shard(policy, accelerator.device)
    else:
        model = accelerator.prepare_model(policy)
    work = Work(policy.causal, float(plan.lengths.mean()), accelerator.device, accelerator.num_processes)
    optimizers = Optimizers(policy, given.config, plan.steps)
    return Trainer(accelerator, model, optimizers, objective, work)


def _facts(trainer: Trainer, policy: Policy) -> dict[str, Any]:
    """What is told before the first step."""
    plan = trainer.plan
    return {
        "steps": plan.steps,
        "rows": len(plan.sizes),
        "tokens": int(plan.lengths.sum()),
        "target_tokens": int(plan.targets.sum()),
        "packs": plan.packs,
        "pack_efficiency": efficiency(plan.lengths, plan.packs, plan.capacity),
        "attention": policy.attention,
        "dtype": str(policy.dtype).removeprefix("torch."),
        "parameters": sum(parameter.numel() for parameter in policy.parameters() if parameter.requires_grad),
        "processes": trainer.accelerator.num_processes,
    }


def _check_hashes(handoff: Handoff, found: dict[str, str]) -> None:
    """Raises: HandoffError: the pre-flight looked at another template or tokenizer than this machine has."""
    differing = [name for name, value in handoff.hashes.items() if found.get(name) != value]
    if differing:
        raise HandoffError(
            f"the {' and the '.join(differing)} of {handoff.base.model} isn't what the pre-flight of {handoff.path} "
            "saw: give the same base, or run `python -m trainers.preflight` again and read what it shows"
        )


def _identity(handoff: Handoff, config: RunConfig, found: dict[str, str], processes: int) -> dict[str, Any]:
    """What must be the same for a run to go on where another stopped; stored with checkpoints and with the model."""
    return {
        "data": handoff.fingerprint,
        "base": asdict(handoff.base),
        "hashes": found,
        "seed": handoff.seed,
        "processes": processes,
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
