"""What a target of a hand-off is: who trains the folder, and what it makes of the hand-offs of each trainer.

Each target stands in a file or a folder of its own: `native`, `trl`, `llamafactory`, `axolotl`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from engine.handoff.folder import Order

TEMPLATE = "chat_template.jinja"
"""Where a chat template stands that replaces the base's own."""

OUT = "out"
"""Where a target trains to, within the folder."""


@dataclass(frozen=True)
class Cargo:
    """A folder whose data is written and has passed the pre-flight, as a target gets to see it."""

    order: Order
    folder: Path
    files: tuple[str, ...]  # of the data, within the folder
    report: Mapping[str, Any]  # the pre-flight's

    @property
    def config(self) -> str:
        """The name of the target's configuration, where it has one."""
        return config_file(self.order.trainer)


def config_file(trainer: str) -> str:
    """What the configuration for a trainer's hand-offs is called."""
    return f"{trainer}.yaml"


@dataclass(frozen=True)
class Recipe:
    """What a target makes of the hand-offs of one trainer.

    `keys` says for each parameter what it is called there, and `only` which of its values the target can have (all,
    where it says nothing). `refuses` finds further reasons in an order, `lost_rows` in the rows: those that the target
    would not treat as is ordered. `write` puts the target's files beside the data and returns the command to run in the
    folder; `notes` tell what it does in another way.
    """

    keys: Mapping[str, str]
    only: Mapping[str, tuple[Any, ...]]
    write: Callable[[Cargo], str]
    notes: Callable[[Cargo], Iterator[str]]
    refuses: Callable[[Order], Iterator[str]] = lambda _: iter(())
    lost_rows: Callable[[Cargo], Iterator[str]] = lambda _: iter(())


@dataclass(frozen=True)
class Target:
    """What trains a folder; its recipes by the trainers' names."""

    name: str
    recipes: Mapping[str, Recipe]

    def refusals(self, order: Order) -> list[str]:
        """Why the target can't train as it is ordered, before anything is written; each reason with its cure."""
        recipe = self.recipes.get(order.trainer)
        if recipe is None:
            return [f"it has no train: {order.trainer}: hand over to native"]
        found = [
            f"{name} is {order.params[name]}, and {self.name} knows only {' and '.join(map(str, values))}: "
            "change it, or hand over to native"
            for name, values in recipe.only.items()
            if order.params[name] not in values
        ]
        return [*found, *recipe.refuses(order)]

    def lost_rows(self, cargo: Cargo) -> list[str]:
        """Why the target would not do with some rows what is ordered; each reason with its cure."""
        return list(self.recipes[cargo.order.trainer].lost_rows(cargo))

    def write(self, cargo: Cargo) -> str:
        """Write the target's files; returns the command."""
        return self.recipes[cargo.order.trainer].write(cargo)

    def notes(self, cargo: Cargo) -> list[str]:
        """What the target does in another way."""
        return list(self.recipes[cargo.order.trainer].notes(cargo))


def write_yaml(cargo: Cargo, config: Mapping[str, Any]) -> None:
    """Write the target's configuration."""
    text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
    (cargo.folder / cargo.config).write_text(text, encoding="utf-8")


def template_of(order: Order) -> str | None:
    """The chat template that replaces the base's own."""
    template: str | None = order.params["chat_template"] or order.base.chat_template
    return template


def write_template(cargo: Cargo) -> str | None:
    """Write the chat template that replaces the base's own, if one does; returns its path within the folder."""
    template = template_of(cargo.order)
    if template is None:
        return None
    (cargo.folder / TEMPLATE).write_text(template, encoding="utf-8")
    return TEMPLATE


def plain_template(order: Order) -> Iterator[str]:
    """Refuse the template that only Setwright's own trainers know by its name."""
    if order.params["chat_template"] == "plain":
        yield "chat_template: plain is known to Setwright's own trainers alone: write the template out"


def other_template(order: Order) -> Iterator[str]:
    """Refuse any template but the tokenizer's, for a target that takes none."""
    if template_of(order) is not None:
        yield (
            "chat_template: the target takes no other template than the tokenizer's: save the base with the template "
            "in its tokenizer, and name that as the base"
        )


def over_long(*known: str) -> Callable[[Cargo], Iterator[str]]:
    """Refuse rows that are too long, unless the order has for them what the target does."""

    def lost(cargo: Cargo) -> Iterator[str]:
        ordered, count = cargo.order.params["over_long"], cargo.report["over_long"]
        if count and ordered not in known:
            yield (
                f"{count} rows are longer than max_length, and the target has no over_long: {ordered}: "
                "leave them out by a filter, or raise max_length"
            )

    return lost
