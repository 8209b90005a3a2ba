"""Executes a plan: every step as soon as what it needs is done, each result complete or absent.

Identities are bound here: a step whose rows partly failed has another identity than planned, and what stands on it
is built under the identity that this gives. How a verb does its work stands in `work/`; where shards run, in
`runners/`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from engine.calls import Asker, Gate
from engine.errors import ExitCode, SetwrightError, StoreError
from engine.fingerprint import effective, fingerprint
from engine.garbage import rare_collections
from engine.ledger import Ledger
from engine.plan.prune import last_manifest
from engine.plan.steps import Plan, Planned, Status, Step, Verb, relation_of
from engine.plan.trained import root_of, serve
from engine.progress import Monitor, State
from engine.relation import Relation
from engine.runners.local import LocalRunner
from engine.stop import Stop, Stopped
from engine.store import Manifest, Store
from engine.work.job import Job, Result, incomplete
from engine.work.verbs import Workshop

ROWS_IN_FLIGHT = 4
"""Rows in flight for each call that a model may have in flight, so that it never waits for a row."""


@dataclass
class Build:
    """One build. After `run`, `monitor` says how each step ended and `manifests` what was made."""

    plan: Plan
    store: Store
    ledger: Ledger
    build_id: str
    monitor: Monitor
    replan: Callable[[int], Plan]  # the plan where the stop rule ends the rounds after so many
    stop: Stop = field(default_factory=Stop)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    identities: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    exit_code: ExitCode = ExitCode.DONE  # the worst of the steps that failed

    def __post_init__(self) -> None:
        given = self.plan.spec.models  # a trained model is bound when it is there
        self._gates = {name: Gate(self.plan.backends[name], self.ledger, self.stop) for name in given}
        self._runner = LocalRunner(self.plan.spec.run.workers, self.stop)
        self._workshop = Workshop(self.plan, self._runner)
        self._making: dict[str, asyncio.Lock] = {}
        self._fatal: SetwrightError | None = None
        self._last_round: int | None = None  # that the stop rule lets be

    async def run(self) -> None:
        """Build every step that the plan selects.

        Raises:
            StoreError: the home can't be written; whatever was finished before is kept.
        """
        try:
            with rare_collections():
                await self._all(self.plan)
                if self._last_round is not None and not self.stop.requested:
                    await self._all(self._end_rounds(self._last_round))
        finally:
            for gate in self._gates.values():
                await gate.close()
            self._runner.close()
        if self._fatal is not None:
            raise self._fatal

    async def _all(self, plan: Plan) -> None:
        """Do the steps of a plan that have neither a result nor failed, each as soon as what it needs has ended."""
        failed = {name for name, progress in self.monitor.steps.items() if progress.state is State.FAILED}
        waiting = [planned for name, planned in plan.steps.items() if name not in failed | self.manifests.keys()]
        ended = {planned.name: asyncio.Event() for planned in waiting}
        async with asyncio.TaskGroup() as group:
            for planned in waiting:
                group.create_task(self._after_needs(planned, ended))

    def _end_rounds(self, last: int) -> Plan:
        """The plan of what stands on the rounds, now that the stop rule has ended them: as if no more were meant."""
        shorter = self.replan(last)
        self.plan = replace(shorter, steps={**self.plan.steps, **shorter.steps})
        return shorter

    async def _after_needs(self, planned: Planned, ended: Mapping[str, asyncio.Event]) -> None:
        for need in planned.needs:
            if need in ended:
                await ended[need].wait()
        try:
            blocked = self._blocked(planned)
            if self._is_left_out(planned):
                why = f"the stop rule ended the rounds after {self._last_round}"
                self.monitor.end(planned.name, State.STOPPED, why)
            elif blocked:
                self.monitor.end(planned.name, State.SKIPPED, blocked)
            else:
                await self._step(planned)
        except Exception as e:  # an operator's own error ends its step, never the work of others
            self._failed(planned, _first(e))
        finally:
            ended[planned.name].set()

    def _failed(self, planned: Planned, error: Exception) -> None:
        if isinstance(error, Stopped):
            self.monitor.end(planned.name, State.SKIPPED, error.message)
            return
        known = isinstance(error, SetwrightError)
        detail = str(error) if known else f"{planned.step.label}: {type(error).__name__}: {error}"
        self.monitor.end(planned.name, State.FAILED, detail)
        self.exit_code = max(self.exit_code, error.exit_code if isinstance(error, SetwrightError) else ExitCode.USAGE)
        if isinstance(error, StoreError):
            self._fatal = self._fatal or error
            self.stop.requested = True

    def _is_left_out(self, planned: Planned) -> bool:
        """Whether a step belongs to a round that the stop rule has left out."""
        return self._last_round is not None and (planned.step.round or 0) > self._last_round

    def _blocked(self, planned: Planned) -> str:
        """Why a step can't run: something that it needs has no result, or a test that it stands on failed."""
        if self.stop.requested:
            return "stopped"
        for need in planned.needs:
            if need not in self.manifests:
                return f"{need} has no result"
            failed = self.manifests[need].facts.get("failed_tests")
            if failed:
                return f"{need}: {', '.join(failed)} failed"
        return ""

    async def _step(self, planned: Planned) -> None:
        identity = fingerprint(planned.payload(self.identities))
        async with self._making.setdefault(identity, asyncio.Lock()):  # of two names for one thing, the second finds it
            await self._make(planned, identity)

    async def _make(self, planned: Planned, identity: str) -> None:
        if self._is_there(planned, identity):
            return
        self.store.remove(incomplete(identity))
        if planned.step.verb not in (Verb.GENERATE, Verb.SCORE):
            self.store.remove(identity)  # begun and not ended: it is written as a whole
        job = self._job(planned, identity)
        result = await self._workshop.do(job)
        identity, manifest = self._complete(job, result, job.progress.seconds)
        self.store.clear_workplace(identity)
        self._finish(planned.step, identity, manifest, State.INCOMPLETE if result.failed else State.BUILT)

    def _is_there(self, planned: Planned, identity: str) -> bool:
        """Whether a step needs no work: it is built, or it is not selected."""
        manifest = self.store.manifest(identity)
        last = last_manifest(self.store, self.plan.spec.name, planned.name)
        if manifest is not None:
            self._finish(planned.step, identity, manifest, State.CACHED)
        elif planned.status is not Status.OFF:
            return False
        elif last is not None and last.facts.get("planned") == identity:
            self._finish(planned.step, last.fingerprint, last, State.CACHED)  # incomplete, and not asked to be mended
        else:
            self.monitor.end(planned.name, State.SKIPPED, "not selected and not built; select it too, as in +NAME")
        return True

    def _job(self, planned: Planned, identity: str) -> Job:
        step, run = planned.step, self.plan.spec.run
        progress = self.monitor.start(planned.name)
        job = Job(
            planned=planned,
            fingerprint=identity,
            payload=planned.payload(self.identities),
            store=self.store,
            relations={table: self.relation(table) for table in (*step.sources, *step.sides.values())},
            seed=step.seed(self.plan.spec.seed),
            progress=progress,
            stop=self.stop,
            models={role: self._gates[model] for role, model in step.models_by_role.items()},
            asker=Asker(self.plan.spec.name, planned.name, self.build_id, progress.tally),
            base=self._gates[step.base].backend if step.base else None,
            gates={model: self._gates[model] for reward in step.rewards for model in reward.models},
            rows_in_flight=ROWS_IN_FLIGHT * run.concurrency,
        )
        if len(step.sources) == 1:
            progress.rows = sum(job.source.part_rows)
        return job

    def _complete(self, job: Job, result: Result, seconds: float) -> tuple[str, Manifest]:
        """Write the manifest; a result with failed rows becomes an object of its own, beside the finished parts."""
        identity = effective(job.fingerprint, result.failed)
        facts = {"seconds": round(seconds, 3), "built": time.time(), "rows_in": job.progress.rows, **result.facts}
        if result.failed:
            facts |= {"planned": job.fingerprint, "failed": len(result.failed)}
            self.store.link_parts(incomplete(job.fingerprint), identity)
            self.store.link_parts(job.fingerprint, identity)
            self.store.remove(incomplete(job.fingerprint))
        columns = {f.name: str(f.type) for f in result.schema}
        manifest = Manifest(identity, dict(job.payload), tuple(result.parts), columns, facts)
        self.store.complete(manifest)
        return identity, manifest

    def _finish(self, step: Step, identity: str, manifest: Manifest, state: State) -> None:
        self.identities[step.name] = identity
        self.manifests[step.name] = manifest
        own = Relation(identity) if step.name != step.table else self.relation(step.table)
        self._name(step, own)
        if step.verb is Verb.TRAIN:
            root = self.plan.backends[root_of(self.plan.spec, step.name)]
            self._gates[step.name] = Gate(serve(step.name, root, self.store, identity), self.ledger, self.stop)
        if step.verb is Verb.SCORE:
            for table in self._shown_in(step.table):
                self._name(self.plan.steps[table].step, self.relation(table))
        if step.verb is Verb.UNTIL and manifest.facts["stop"]:
            self._last_round = step.round
        self.monitor.end(step.name, state)

    def _shown_in(self, table: str) -> Iterator[str]:
        """The table, and the finished selections of it: they show its columns, late scores among them."""
        yield table
        for name, planned in self.plan.steps.items():
            step = planned.step
            if step.verb is Verb.SELECT and step.sources == (table,) and name in self.identities:
                yield from self._shown_in(name)

    def _name(self, step: Step, relation: Relation) -> None:
        """Point the step's name to what it is now."""
        value = {"verb": step.verb, "from": step.sources[0] if step.sources else None, "relation": relation.to_json()}
        self.store.set_ref(self.plan.spec.name, step.name, value)

    def relation(self, table: str) -> Relation:
        """A table as it stands now."""
        return relation_of(self.plan.steps, self.identities, table)


def _first(error: Exception) -> Exception:
    """The first error of a group of tasks: the others are its consequences."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
