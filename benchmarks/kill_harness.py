"""Kills a build over and over, and shows that no finished model call is repeated and no result changed.

    python benchmarks/kill_harness.py [--kills 20] [--calls 1000] [--seed 1]

A build against a real HTTP server on loopback is run once unbroken. Then the same spec is built in another home, whose
whole process group is ended with SIGKILL at random moments: in start-up, while the source is written, between model
calls, between steps. After each kill the ledger is read as the kill left it, and the same command is run again.
At the end every request that the server saw is held against what the ledger had at the kills before it, and every
file of every object against those of the unbroken build. Exit code 1 for any violation.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from _data import rows, write_jsonl
from _evidence import asked, differences, held_calls, left_over, steps_done
from _measure import TESTS, headline, setwright, show

sys.path.insert(0, str(TESTS))

from fake_server import FakeServer

POOL_ROWS = 40_000  # three parts, so that a kill can fall between the parts of a step
LATENCY_MS = 40
TIMEOUT_S = 120
SPEC = """
version: 1
name: killed
seed: 5
models:
  teacher: {{use: openai, model: fake, base_url: "${{FAKE_SERVER}}", params: {{temperature: 0.7}}}}
  embedder: {{use: openai, model: fake, base_url: "${{FAKE_SERVER}}", params: {{dimensions: 64}}}}
tables:
  pool:
    source: pool.jsonl
    scores: [text_statistics]
  prompts:
    select: random
    from: pool
    params: {{k: {calls}}}
  answers:
    generate: respond
    from: prompts
    model: teacher
    columns: {{prompt: instruction}}
    scores: [length, {{score: embedding, model: embedder, columns: {{text: response}}}}]
  curated:
    select: deita
    from: answers
    params: {{budget: 100, max_similarity: 0.99, score: n_chars}}
    tests: [{{rows: {{min: 1}}}}, {{unique: row_id}}]
  kept:
    sql: SELECT * FROM curated
run: {{concurrency: 16}}
"""


@dataclass(frozen=True)
class Kill:
    """One kill: when it fell, the requests that the server had seen until then, and the calls that the ledger held."""

    moment: str
    after_s: float
    requests: int
    held: frozenset[str]


@dataclass
class Trial:
    """A project, the server that it asks, and the kills of its builds."""

    folder: Path
    calls: int
    server: FakeServer
    rng: random.Random
    kills: list[Kill] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home = self.folder / "killed"
        self.unbroken = self.folder / "unbroken"
        (self.folder / "spec.yaml").write_text(SPEC.format(calls=self.calls))
        write_jsonl(self.folder / "pool.jsonl", rows(POOL_ROWS, seed=1))

    def finish(self, home: Path) -> None:
        """Run the build to its end."""
        code = self._start(home).wait(TIMEOUT_S)
        if code != 0:
            raise RuntimeError(f"the build ended with {code}:\n{(self.folder / 'build.log').read_text()[-4000:]}")

    def kill(self, kills_left: int) -> None:
        """Start the build and kill it at the next moment; nothing is counted where it came to its end before."""
        moment, has_come = self._moment(kills_left)
        began, process = time.monotonic(), self._start(self.home)
        while not has_come() and process.poll() is None and time.monotonic() - began < TIMEOUT_S:
            time.sleep(0.001)
        ended = process.poll()
        after = time.monotonic() - began
        if ended is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        while self.server.connections:  # what the dead process had sent is still counted to it
            time.sleep(0.001)
        if ended is None:
            self.kills.append(Kill(moment, after, len(self.server.hits), held_calls(self.home)))
        elif ended != 0:
            raise RuntimeError(f"the build ended with {ended}:\n{(self.folder / 'build.log').read_text()[-4000:]}")

    def _start(self, home: Path) -> subprocess.Popen[bytes]:
        with (self.folder / "build.log").open("ab") as log:
            return subprocess.Popen(
                setwright("build", self.folder / "spec.yaml", "--home", home),
                stdout=log, stderr=log, start_new_session=True, env={**os.environ, "FAKE_SERVER": self.server.url},
            )  # fmt: skip

    def _moment(self, kills_left: int) -> tuple[str, Callable[[], bool]]:
        """What the next kill waits for, by how far the build has come: some of it is left for the kills after it."""
        done, few = steps_done(self.home), max(1, (len(self.kills) + kills_left) // 6)
        if self.rng.random() < 0.15 or "kept" in done:
            return "start-up", self._after(lambda: True, 1.5)
        if "pool" not in done and len(self.kills) < few:
            before = self._parts()
            return "source", self._after(lambda: self._parts() != before, 0.2)
        if "answers" in done or kills_left <= few:
            return "between steps", self._after(lambda: len(steps_done(self.home)) > len(done), 0.02)
        open_calls = self.calls - sum(key.startswith("chat") for key in held_calls(self.home))
        enough = len(self.server.hits) + self.rng.randint(1, max(1, 2 * open_calls // kills_left))
        return "between calls", self._after(lambda: len(self.server.hits) >= enough, 0.05)

    def _parts(self) -> set[tuple[str, int]]:
        """The files of all objects, finished or not, with the time of their last change."""
        found = set()
        for path in self.home.glob("objects/*/*"):
            with contextlib.suppress(FileNotFoundError):  # renamed in between
                found.add((path.name, path.stat().st_mtime_ns))
        return found

    def _after(self, has_come: Callable[[], bool], spread_s: float) -> Callable[[], bool]:
        """True from a random time after `has_come` on."""
        pause, since = self.rng.uniform(0, spread_s), None

        def passed() -> bool:
            nonlocal since
            if since is None and has_come():
                since = time.monotonic()
            return since is not None and time.monotonic() - since >= pause

        return passed


@dataclass(frozen=True)
class Outcome:
    """What a trial showed. `violations` is empty where all is well."""

    requests: int  # calls that the server was asked; an embedding's request counts once for each text
    calls: int  # different ones among them
    in_flight: int  # answered by the server, not in the ledger at the kill, and so asked again
    violations: list[str]


def run(trial: Trial, kills: int) -> Outcome:
    """Build once unbroken, then with kills, and hold the two against each other."""
    trial.finish(trial.unbroken)
    trial.server.hits.clear()
    for _ in range(3 * kills):
        if len(trial.kills) == kills:
            break
        trial.kill(kills - len(trial.kills))
    trial.finish(trial.home)
    return judge(trial, kills)


def judge(trial: Trial, kills: int) -> Outcome:
    """Every request against the ledgers before it; the results against the unbroken ones."""
    violations = [] if len(trial.kills) == kills else [f"only {len(trial.kills)} of {kills} kills hit a running build"]
    violations += differences(trial.unbroken, trial.home)
    held: frozenset[str] = frozenset()
    answered: set[str] = set()  # by the server, in builds before the one that is looked at
    known, requests, in_flight, start = set[str](), 0, 0, 0
    for number, kill in enumerate([*trial.kills, Kill("end", 0, len(trial.server.hits), held_calls(trial.home))]):
        hits = trial.server.hits[start : kill.requests]
        keys = [key for hit in hits for key in asked(hit.path, hit.body)]
        again = held & set(keys)
        violations += [f"call {key} was asked again after kill {number}, which left it in the ledger" for key in again]
        violations += [f"call {key} was asked twice in one build" for key in set(keys) if keys.count(key) > 1]
        violations += [f"call {key} was lost from the ledger by kill {number + 1}" for key in held - kill.held]
        in_flight += len((answered - held) & set(keys))
        answered |= {key for hit in hits if hit.answered is not None for key in asked(hit.path, hit.body)}
        held, start, requests, known = kill.held, kill.requests, requests + len(keys), known | set(keys)
    violations += [f"call {key} was answered and is not in the ledger" for key in known - held]
    return Outcome(requests, len(known), in_flight, violations)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--calls", type=int, default=1000, help="model calls of the build, and as many embeddings")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--folder", type=Path, help="keep the homes and the log here")
    args = parser.parse_args()
    headline(f"{args.kills} SIGKILLs of a build with {args.calls:,} answers and as many embeddings (seed {args.seed})")
    with tempfile.TemporaryDirectory() as folder, FakeServer(latency_ms=LATENCY_MS) as server:
        trial = Trial(args.folder or Path(folder), args.calls, server, random.Random(args.seed))
        outcome = run(trial, args.kills)
        header = ("kill", "moment", "after s", "requests so far", "calls in the ledger")
        show(header, [(i, k.moment, k.after_s, k.requests, len(k.held)) for i, k in enumerate(trial.kills, 1)])
        again = outcome.requests - outcome.calls
        print(f"{outcome.calls:,} calls; asked again because a kill cut them off: {again:,}, of these")
        print(f"answered by the server and not yet in the ledger: {outcome.in_flight:,}")
        print(f"temporary files left behind: {len(left_over(trial.home))}")
    for violation in outcome.violations:
        print(f"VIOLATION  {violation}")
    if not outcome.violations:
        print("finished calls repeated: 0; every row id, row and file equal to those of the unbroken build")
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
