"""A hand-off from an order to a folder that trains: data, pre-flight, the target's files, and a page that says how."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from engine.errors import SetwrightError
from engine.handoff.axolotl import AXOLOTL
from engine.handoff.folder import HANDOFF, Order, write_folder
from engine.handoff.llamafactory import LLAMAFACTORY
from engine.handoff.llamafactory import WRITTEN as LLAMAFACTORYS
from engine.handoff.native import NATIVE, PACKAGE
from engine.handoff.preflight import Refused, preflight
from engine.handoff.target import TEMPLATE, Cargo, Target, config_file
from engine.handoff.trl import TRL
from engine.relation import Reader

TARGETS = {target.name: target for target in (NATIVE, TRL, LLAMAFACTORY, AXOLOTL)}

README = "README.md"
CONFIGS = tuple(config_file(trainer) for trainer in NATIVE.recipes)
WRITTEN = ("data", "preflight.json", "preflight.md", README, TEMPLATE, PACKAGE, *CONFIGS, *LLAMAFACTORYS)
"""What may stand in a folder besides `handoff.json`; what else is there was trained in it, or is the user's own."""


@dataclass(frozen=True)
class Delivery:
    """A folder that trains: how many rows, by which command, and what its target does in another way."""

    folder: Path
    rows: int
    target_tokens: int
    command: str
    notes: tuple[str, ...]


def deliver(order: Order, source: Reader, target: Target, folder: Path) -> Delivery:
    """Write the folder and have it checked. What was trained in it earlier stays.

    Raises:
        Refused: the target can't train as it is ordered, or the pre-flight refuses the rows.
        SetwrightError: the folder holds something else or can't be written, or the pre-flight could not run.
    """
    _refuse(target, target.refusals(order))
    _check_free(folder)
    with source.store.guard("write", folder):
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        write_folder(order, source, partial)
        _move(partial, folder)
    report = preflight(folder)
    files = tuple(file["path"] for file in json.loads((folder / HANDOFF).read_text(encoding="utf-8"))["data"]["files"])
    cargo = Cargo(order, folder, files, report)
    _refuse(target, target.lost_rows(cargo))
    with source.store.guard("write", folder):
        command = target.write(cargo)
        delivery = Delivery(folder, report["kept"], report["target_tokens"], command, tuple(target.notes(cargo)))
        (folder / README).write_text(_readme(order, target, delivery), encoding="utf-8")
    return delivery


def _refuse(target: Target, reasons: list[str]) -> None:
    if reasons:
        raise Refused(f"{target.name} can't train it as it is:\n" + "\n".join(f"  {reason}" for reason in reasons))


def _check_free(folder: Path) -> None:
    """Raise SetwrightError where the folder holds something else than a hand-off."""
    if folder.exists() and not folder.is_dir():
        raise SetwrightError(f"{folder} is a file", cure="give another --out")
    if folder.exists() and any(folder.iterdir()) and not (folder / HANDOFF).exists():
        raise SetwrightError(f"{folder} holds something else than a hand-off", cure="give another --out, or empty it")


def _move(partial: Path, folder: Path) -> None:
    """Put a written folder in its place. Of an earlier hand-off there, `handoff.json` is replaced last."""
    if not (folder / HANDOFF).exists():
        if folder.exists():
            folder.rmdir()
        partial.replace(folder)
        return
    for name in WRITTEN:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    (partial / "data").replace(folder / "data")
    (partial / HANDOFF).replace(folder / HANDOFF)
    partial.rmdir()


def _readme(order: Order, target: Target, delivery: Delivery) -> str:
    """How to train the folder, for whoever receives it."""
    lines = [
        f"# {order.name}",
        "",
        f"{delivery.rows:,} rows for {target.name}, written and checked by Setwright. `preflight.md` shows what a "
        "model sees of them, `handoff.json` has the hashes of data, template and tokenizer.",
        "",
        "In this folder:",
        "",
        f"    {delivery.command}",
        "",
        f"The base model is `{order.base.model}`{f' at {order.base.revision}' if order.base.revision else ''}.",
    ]
    if Path(order.base.model).is_absolute():
        lines += ["It is a folder of the machine that wrote this: elsewhere, take it along and name its new place."]
    if delivery.notes:
        lines += ["", *(f"- {note}" for note in delivery.notes)]
    return "\n".join(lines) + "\n"
