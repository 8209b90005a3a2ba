"""`setwright clean`: delete objects that no name points to and no recent build made. Model calls are never deleted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.options import Command, home_option, json_option
from engine.cli.text import columns, echo_json
from engine.errors import SetwrightError

if TYPE_CHECKING:
    from engine.store import Store

ONLY_BUILDS_WRITE = ("objects", "refs", "catalog/builds")
"""Where a temporary file is a dead build's, once the home is held."""


@click.command(cls=Command)
@click.argument("spec", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--all", "everything", is_flag=True, help="Of all specs; also what interrupted builds left behind.")
@click.option(
    "--keep-builds", type=click.IntRange(min=0), default=2, show_default=True, metavar="N",
    help="Keep what the last N builds of each spec made, so that `diff` can compare them.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@home_option
@json_option
def command(spec: Path | None, everything: bool, keep_builds: int, dry_run: bool, home: Path, as_json: bool) -> None:
    """Delete old versions of the tables of SPEC, or with --all of every spec.

    What a table, score or test of any spec is made of now stays, and so does every model call. A build that found
    everything in place doesn't count as one. Work that was begun since the first of the kept builds stays, too.
    """
    from engine.cli.spec_name import spec_name
    from engine.store import Store

    if (spec is not None) == everything:
        raise click.UsageError("name a SPEC, or give --all")
    store = Store(home)
    if not store.objects.exists():
        raise SetwrightError(f"nothing is built under {home}", cure="name another --home")
    with store.lock("setwright clean", wait=False):
        steps = list(_recorded(store))
        recent = set(_recent(steps, keep_builds))
        keep = _kept(store, [step for step in steps if step.build in recent])
        names = _names(steps, None if spec is None else spec_name(spec))
        found = [store.folder(f) for f in sorted(_complete(store) - keep) if everything or f in names]
        if everything:
            begin = _begin(recent, keep_builds)
            found += [*_unfinished(store, keep, begin), *_trainings(store, begin)]
            found += _temporary(store, found)
        freed = _freed(found)
        report = _render(found, names, freed, dry_run)
        if not dry_run:
            _delete(store, found)
    if as_json:
        echo_json({"dry_run": dry_run, "bytes": freed, "deleted": [str(path) for path in found]})
    else:
        click.echo(report)


@dataclass(frozen=True)
class Recorded:
    """One step of one recorded build, with the objects that its table was made of."""

    build: str
    spec: str
    step: str
    made: bool  # rows or verdicts, rather than found in place
    objects: frozenset[str]


def _recorded(store: Store) -> Iterator[Recorded]:
    import pyarrow.parquet as pq

    from engine.relation import Relation

    wanted = ["build", "spec", "step", "state", "fingerprint", "relation"]
    for path in sorted((store.home / "catalog" / "builds").glob("*.parquet")):
        for row in pq.read_table(path, columns=wanted).to_pylist():
            objects = {row["fingerprint"]} if row["fingerprint"] else set()
            if row["relation"]:
                objects.update(Relation.from_json(json.loads(row["relation"])).fingerprints())
            made = row["state"] in ("built", "incomplete") and not row["step"].endswith(".tests")
            yield Recorded(row["build"], row["spec"], row["step"], made, frozenset(objects))


def _recent(steps: list[Recorded], n: int) -> Iterator[str]:
    """The last n builds of each spec that made anything."""
    builds: dict[str, dict[str, None]] = {}
    for step in steps:
        if step.made:
            builds.setdefault(step.spec, {})[step.build] = None
    for made in builds.values():
        yield from list(made)[len(made) - min(n, len(made)) :]


def _kept(store: Store, recent: list[Recorded]) -> set[str]:
    """What the refs and recent builds are made of, and the finished parts of those of them that lack rows."""
    from engine.relation import Relation

    refs = [store.ref(spec, name) or {} for spec in store.spec_names() for name in store.ref_names(spec)]
    keep = {f for ref in refs for f in Relation.from_json(ref["relation"]).fingerprints()}
    keep |= {f for step in recent for f in step.objects}
    manifests = [store.manifest(fingerprint) for fingerprint in keep]
    return keep | {m.facts["planned"] for m in manifests if m is not None and "planned" in m.facts}


def _names(steps: list[Recorded], spec: str | None) -> dict[str, str]:
    """The objects that a spec (or any) has made, each with the first step that is made of it."""
    chosen = [step for step in steps if spec in (None, step.spec)]
    return {f: f"{step.spec}: {step.step}" for step in reversed(chosen) for f in step.objects}


def _complete(store: Store) -> set[str]:
    return {path.parent.name for path in store.objects.glob("*/manifest.json")}


def _begin(recent: set[str], keep_builds: int) -> float:
    """When the oldest of the kept builds began, in seconds since 1970 (a build's id is its time).

    All work is older than that where no build is to be kept, and none is where no build was ever recorded.
    """
    if keep_builds == 0:
        return float("inf")
    starts = (datetime.strptime(build[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) for build in recent)
    return min((start.timestamp() for start in starts), default=0.0)


def _unfinished(store: Store, keep: set[str], begin: float) -> list[Path]:
    """Objects that were left before a time and never completed, and drafts, which no build goes on with."""
    left = (p for p in store.objects.iterdir() if p.name not in keep and not (p / "manifest.json").exists())
    return sorted(p for p in left if p.name.endswith("-incomplete") or p.stat().st_mtime < begin)


def _trainings(store: Store, begin: float) -> list[Path]:
    """Where models were trained that are objects now, and trainings that were left before a time."""
    places = (store.home / "training").glob("*")
    return sorted(p for p in places if store.manifest(p.name) is not None or p.stat().st_mtime < begin)


def _temporary(store: Store, found: list[Path]) -> list[Path]:
    """Files that a killed build was writing, where they don't go with their object."""
    files = (p for folder in ONLY_BUILDS_WRITE for p in (store.home / folder).rglob("*.tmp"))
    return sorted(p for p in files if p.parent not in found)


def _freed(paths: Iterable[Path]) -> int:
    """Bytes that deleting frees: of a file with several names only where all of them go."""
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    stats = {stat.st_ino: stat for stat in (file.stat() for file in files)}
    names = Counter(file.stat().st_ino for file in files)
    return sum(stat.st_size for inode, stat in stats.items() if names[inode] == stat.st_nlink)


def _delete(store: Store, paths: Iterable[Path]) -> None:
    for path in paths:
        with store.guard("delete", path):
            if path.parent == store.objects:
                store.remove(path.name)
            elif path.is_dir():
                store.clear_workplace(path.name)
            else:
                path.unlink()


def _render(found: list[Path], names: dict[str, str], freed: int, dry_run: bool) -> str:
    """What is freed in all, and before it is done, also by what."""
    total = f"{_size(freed)} in {len(found):,} objects and files"
    if not (dry_run and found):
        return f"would free {total}" if dry_run else f"freed {total}"
    rows = [(names.get(path.name, "left behind"), _size(_freed([path])), path.name) for path in found]
    return columns(("made by", "size", "object"), rows, right=(1,)) + f"\n\nwould free {total}"


def _size(n: float) -> str:
    """`12 kB`; units are powers of 1,000."""
    for unit in ("bytes", "kB", "MB"):
        if n < 1000:
            return f"{n:,.0f} {unit}"
        n /= 1000
    return f"{n:,.1f} GB"
