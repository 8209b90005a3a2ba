"""Training: a trainer is run as a command on a hand-off folder, and what it leaves becomes an object of the store.

It works in `training/<fingerprint>/` of the home, where a training that was stopped or killed goes on from its last
checkpoint. What a trainer does, and what a hand-off folder is, is not known here.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from engine.errors import SetwrightError
from engine.handoff.folder import Order, write_folder
from engine.handoff.params import handed_over
from engine.handoff.preflight import preflight
from engine.plan.steps import Plan, Verb
from engine.stop import Stopped
from engine.work.job import Job, Result
from engine.work.reward_server import RewardServer, reward_command
from engine.work.rewards import Rewards, read_log

PACKAGES = ("torch", "transformers", "accelerate")
"""What every training needs, and the core doesn't have."""

STOP_SECONDS = 0.2
"""How often a training looks whether the build was asked to stop."""

REWARDS = "rewards.jsonl"
"""Where, beside the trainer's own files, the rewards that are given to it say what they asked and lacked."""

TAIL_LINES = 12
"""Lines of a trainer's own messages that an error repeats."""


def check_installed(plan: Plan) -> None:
    """Whether the models that the plan trains can be trained here; another launcher may have a Python of its own.

    Raises:
        SetwrightError: a package is missing; nothing has run.
    """
    names = [step.name for step in plan.pending() if step.step.verb is Verb.TRAIN]
    absent = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if names and absent and plan.spec.run.launch is None:
        raise SetwrightError(
            f"training {', '.join(names)} needs {' and '.join(absent)}, not installed",
            cure="pip install 'setwright[train]'",
        )


async def train(job: Job, base: Path, launch: str | None) -> Result:
    """Train a model.

    Args:
        job: the step; `job.base` is the backend of the model to start from, `job.gates` those of its rewards' models.
        base: the spec's folder, where relative paths begin.
        launch: the command that starts the trainer's module; None for this Python.

    Raises:
        Stopped: the build was asked to stop; the trainer has written a checkpoint.
        SetwrightError: the pre-flight refused the data, or the trainer failed.
    """
    place = job.store.workplace(job.fingerprint)
    folder, out = place / "handoff", place / "out"
    await asyncio.to_thread(_prepare, job, folder, base)
    module = str(job.operator.fn(job.planned.step.params))
    launcher = shlex.split(launch) if launch else [sys.executable, "-P"]  # not from a folder `trainers` of the user
    command = [*launcher, "-m", module, str(folder), "--out", str(out), "--json"]
    if job.planned.step.rewards:
        await _run_served(job, command)
    else:
        await _run(job, command)
    return await asyncio.to_thread(_keep, job, out)


def _prepare(job: Job, folder: Path, base: Path) -> None:
    """Write the hand-off folder and let the pre-flight check it, unless a training that goes on has done so."""
    passed = folder.parent / "checked"
    if passed.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    step = job.planned.step
    assert job.base is not None
    assert step.params is not None
    weights = job.base.weights()
    if weights is None:
        raise SetwrightError(f"{step.label}: the weights of {step.base} are not at hand", cure="name another base")
    params = handed_over(step.params, base, reward_command)
    order = Order(step.name, job.operator.name, weights, params, job.seed, job.planned.columns.reads)
    with job.store.guard("write", folder):
        write_folder(order, job.source, folder)
    preflight(folder)
    passed.touch()


async def _run_served(job: Job, command: list[str]) -> None:
    """Run the trainer to its end, and give it the rewards of its answers meanwhile."""
    assert job.asker is not None
    asker = replace(job.asker, to_the_end=True)  # a trainer that is told to stop ends its step, and may ask in it
    log = job.store.workplace(job.fingerprint) / REWARDS
    given = (job.planned, job.source, job.seed, job.gates, asker, job.store.home, log)
    rewards = await asyncio.to_thread(Rewards, *given)
    server = RewardServer(rewards)
    async with server.running() as environment:
        try:
            await _run(job, command, environment)
        except Stopped:
            raise
        except SetwrightError as e:
            if server.failure is not None:
                raise server.failure from e
            why = f"\n  the last answer without a reward had none since {rewards.last_reason}"
            raise SetwrightError(e.message + (why if rewards.last_reason else ""), cure=e.cure) from e


async def _run(job: Job, command: list[str], environment: Mapping[str, str] | None = None) -> None:
    """Run the trainer to its end; its messages go to a file, its events to the step's counters."""
    messages = job.store.workplace(job.fingerprint) / "messages.txt"
    with messages.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=log, start_new_session=True, env=environment
        )
    stopping = asyncio.create_task(_pass_on_stop(job, process))
    try:
        assert process.stdout is not None
        async for line in process.stdout:
            _show(job, line)
        code = await process.wait()
    finally:
        stopping.cancel()
        if process.returncode is None:
            _signal(process, signal.SIGKILL)
    if code:
        job.stop.check(job.planned.name)
        raise SetwrightError(
            f"{job.planned.step.label} ended with status {code}:\n{_tail(messages)}",
            cure="mend what it says and build again: it goes on from its last checkpoint",
        )


async def _pass_on_stop(job: Job, process: asyncio.subprocess.Process) -> None:
    while not job.stop.requested:
        await asyncio.sleep(STOP_SECONDS)
    _signal(process, signal.SIGTERM)


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    """Signal the trainer and all that its launcher has started: a launcher may not pass it on."""
    with suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(process.pid, number)
        else:
            process.terminate()


def _show(job: Job, line: bytes) -> None:
    """An event of the trainer in the step's counters; a launcher may print other lines."""
    try:
        event: Any = json.loads(line)
    except ValueError:
        return
    progress = job.progress
    match event:
        case {"event": "start", "steps": int(steps), "resumed_at": int(resumed_at)}:
            progress.rows, progress.done, progress.unit = steps, resumed_at, "steps"
        case {"event": "step", "step": int(step), "loss": loss, "tokens_per_s": pace}:
            progress.done = step
            progress.note = f"loss {loss:.3f}, {pace:,.0f} tokens/s"
        case {"event": "warning", "message": str(message)}:
            progress.note = f"warning: {message}"


def _tail(messages: Path) -> str:
    lines = messages.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return "\n".join(f"  {line}" for line in lines[-TAIL_LINES:]) or "  (it said nothing)"


def _keep(job: Job, out: Path) -> Result:
    """Put what the trainer has left into the store; all but the manifest."""
    metrics, steps = pq.read_table(out / "train_metrics.parquet"), pq.read_table(out / "train_steps.parquet")
    job.store.write_part(job.fingerprint, 0, metrics)
    job.store.write_part(job.fingerprint, 0, steps, "steps")
    for side, table in read_log(out.parent / REWARDS).items():
        job.store.write_part(job.fingerprint, 0, table, side)
    job.store.link_model(job.fingerprint, out / "model")
    last = steps["loss"][-1].as_py() if steps.num_rows else None
    facts = {
        "rows_in": sum(job.source.part_rows),
        "steps": steps.num_rows,
        "last_loss": last,
        "warnings": _warnings(out),
    }
    return Result([metrics.num_rows], metrics.schema, facts=facts)


def _warnings(out: Path) -> list[str]:
    """What the trainer has warned of, as its log says; a training that went on may have said it twice."""
    events = map(json.loads, (out / "log.jsonl").read_text(encoding="utf-8").splitlines())
    return list(dict.fromkeys(event["message"] for event in events if event["event"] == "warning"))
