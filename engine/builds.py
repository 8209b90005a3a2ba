"""One build from beginning to end: hold the home, plan, run, record, bring the catalog up to date.

The command line calls `build` and shows what it reports; tests and notebooks can do the same.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.catalog import refresh
from engine.errors import ExitCode
from engine.ledger import Ledger
from engine.names import round_of
from engine.plan import make_plan
from engine.plan.steps import ASKED, Estimate, Plan, Verb
from engine.progress import Monitor, State
from engine.run import Build
from engine.spec.load import ended_after
from engine.spec.nodes import Spec
from engine.store import Store
from engine.work.train import check_installed

RECORD = pa.schema(
    {
        "build": pa.string(), "spec": pa.string(), "step": pa.string(), "table_name": pa.string(),
        "label": pa.string(), "state": pa.string(), "detail": pa.string(), "rows_in": pa.int64(), "rows": pa.int64(),
        "selected": pa.int64(), "rejects": pa.int64(), "failed": pa.int64(), "calls_sent": pa.int64(),
        "calls_cached": pa.int64(), "calls_failed": pa.int64(), "tokens_in": pa.int64(), "tokens_out": pa.int64(),
        "seconds": pa.float64(), "started": pa.timestamp("us", tz="UTC"), "fingerprint": pa.string(),
        "relation": pa.string(), "planned_calls_low": pa.int64(), "planned_calls_high": pa.int64(),
        "planned_tokens_in_low": pa.int64(), "planned_tokens_in_high": pa.int64(),
        "planned_tokens_out_low": pa.int64(), "planned_tokens_out_high": pa.int64(),
    }
)  # fmt: skip
"""The catalog's `builds`: one row for each step of each build. A plan's upper bound is null where none was known."""


@dataclass(frozen=True)
class Report:
    """How a build ended. `steps` are rows of `RECORD`, in the order of the plan."""

    build: str
    exit_code: ExitCode
    seconds: float
    steps: tuple[dict[str, Any], ...]
    catalog: Path


def build(
    spec: Spec,
    home: Path,
    *,
    selection: str | None = None,
    limit: int | None = None,
    wait: bool = False,
    watch: Callable[[Plan, Monitor], Any] | None = None,
) -> Report:
    """Build a spec.

    Args:
        spec: what `load_spec` gave.
        home: where objects, ledger and catalog are kept.
        selection: dbt's selection language.
        limit: rows of each source at most.
        wait: wait for another build that holds the home, in the place of an error.
        watch: called once before the first step with the plan and the counters, to show progress.

    Raises:
        SpecError: the spec is wrong; nothing has run.
        SetwrightError: a model is to be trained, and what training needs is not installed; nothing has run.
        StoreError: the home is held by another build, or can't be written; finished work is kept.
    """
    began = time.time()
    store = Store(home)
    with store.lock(f"setwright build {spec.file}", wait):
        ledger = Ledger(home)
        try:
            plan = make_plan(spec, store, selection=selection, limit=limit, ledger=ledger)

            def replan(rounds: int) -> Plan:
                return make_plan(ended_after(spec, rounds), store, selection=selection, limit=limit)

            check_installed(plan)
            monitor = Monitor({name: step.step.label for name, step in plan.steps.items()})
            if watch is not None:
                watch(plan, monitor)
            job = Build(plan, store, ledger, _build_id(), monitor, replan)
            try:
                _run(job)
            finally:
                steps = _record(job)
            store.drop_refs(spec.name, keep=_names(job, whole=selection is None))
            catalog = refresh(store, ledger)
        finally:
            ledger.close()
    return Report(job.build_id, _exit_code(job), time.time() - began, tuple(steps), catalog)


def _names(job: Build, *, whole: bool) -> set[str]:
    """The names to keep: the spec's own, or after a build of a selection all but those of rounds that never came."""
    built, spec = job.plan.spec.rounds.built, job.plan.spec.name
    names = job.plan.steps if whole else job.store.ref_names(spec)
    return {name for name in names if (round_of(name) or 0) <= built}


def _run(job: Build) -> None:
    """Run the build on a fresh event loop; Ctrl-C once ends it in good order, twice at once."""

    async def main() -> None:
        with _signals(job):
            await job.run()

    if sys.platform == "win32":
        asyncio.run(main())
    else:
        import uvloop

        uvloop.run(main())


@contextmanager
def _signals(job: Build) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        if job.stop.requested:
            os._exit(ExitCode.INTERRUPTED)  # every commit is whole: leaving now loses only what is in flight
        job.stop.requested = True
        job.interrupted = True

    try:
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, interrupt)
    except (NotImplementedError, RuntimeError, ValueError):  # not the main thread: its owner handles signals
        yield
        return
    try:
        yield
    finally:
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)


def _record(job: Build) -> list[dict[str, Any]]:
    """Write the build's rows to the catalog's `builds`."""
    rows = [_row(job, name) for name in job.plan.steps]
    path = job.store.home / "catalog" / "builds" / f"{job.build_id}.parquet"
    with job.store.guard("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        pq.write_table(pa.Table.from_pylist(rows, schema=RECORD), temporary)
        temporary.rename(path)
    return rows


def _row(job: Build, name: str) -> dict[str, Any]:
    step, progress, manifest = job.plan.steps[name].step, job.monitor.steps[name], job.manifests.get(name)
    facts = {} if manifest is None else manifest.facts
    tally = progress.tally
    is_table = name == step.table and step.verb is not Verb.TRAIN
    relation = job.relation(name).to_json() if manifest and is_table else None
    return {
        "build": job.build_id, "spec": job.plan.spec.name, "step": name, "table_name": step.table,
        "label": step.label, "state": str(progress.state), "detail": progress.detail or _outcome(facts),
        "rows_in": facts.get("rows_in"), "rows": None if manifest is None else manifest.rows,
        "selected": facts.get("selected"), "rejects": facts.get("rejects"), "failed": facts.get("failed", 0),
        "calls_sent": tally.sent, "calls_cached": tally.cached, "calls_failed": tally.failed,
        "tokens_in": tally.tokens_in, "tokens_out": tally.tokens_out, "seconds": progress.seconds,
        "started": None if progress.started is None else int(progress.started * 1e6),
        "fingerprint": job.identities.get(name), "relation": None if relation is None else json.dumps(relation),
        **_planned(job.plan.steps[name].estimate),
    }  # fmt: skip


def _planned(estimate: Estimate) -> dict[str, int | None]:
    """What the plan said before the build."""
    spans = {what: getattr(estimate, what) for what in ASKED}
    lows = {f"planned_{what}_low": int(span.low) for what, span in spans.items()}
    return lows | {f"planned_{what}_high": None if s.high is None else int(s.high) for what, s in spans.items()}


def _outcome(facts: dict[str, Any]) -> str:
    """What a stop rule says, or which tests of a table failed, those that only warn marked as such."""
    if "stop" in facts:
        return "no round follows" if facts["stop"] else "another round follows"
    broken = [f"{test} failed" for test in facts.get("failed_tests", ())]
    return "; ".join([*broken, *(f"{test} failed (warn)" for test in facts.get("warned_tests", ()))])


def _exit_code(job: Build) -> ExitCode:
    if job.interrupted:
        return ExitCode.INTERRUPTED
    states = {progress.state for progress in job.monitor.steps.values()}
    failed_tests = any(manifest.facts.get("failed_tests") for manifest in job.manifests.values())
    if State.FAILED in states:
        return job.exit_code
    return ExitCode.FAILURES if failed_tests or State.INCOMPLETE in states else ExitCode.DONE


def _build_id() -> str:
    """Sortable by time, unique on a machine."""
    now = time.time()
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)) + f"-{int(now * 1e6) % 1_000_000:06d}"
