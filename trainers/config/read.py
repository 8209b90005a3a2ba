"""From the `params` of a `handoff.json` to a trainer's configuration, and back."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from trainers.config.run import RunConfig
from trainers.errors import HandoffError

Config = TypeVar("Config", bound=RunConfig)


def from_params(kind: type[Config], params: Mapping[str, Any]) -> Config:
    """Check the params, and fill in what they leave out.

    Raises:
        HandoffError: an unknown name, or a value of another type or out of range; the message names it.
    """
    hints = typing.get_type_hints(kind)
    known = {field.name: hints[field.name] for field in fields(kind)}
    unknown = sorted(params.keys() - known.keys())
    if unknown:
        raise HandoffError(f"params has {', '.join(unknown)}, and train: {kind.trainer} knows only {', '.join(known)}")
    return kind(**{name: _typed(name, value, known[name]) for name, value in params.items()})


def to_params(config: RunConfig) -> dict[str, Any]:
    """The parameters as JSON holds them."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _typed(name: str, value: Any, kind: Any) -> Any:
    """`value` as the type that a field asks for; lists become tuples, whole numbers floats where floats are wanted."""
    converted = _converted(value, kind)
    if converted is None and not (value is None and type(None) in get_args(kind)):
        raise HandoffError(f"params.{name} is {value!r}: it must be {_spoken(kind)}")
    return converted


def _converted(value: Any, kind: Any) -> Any:
    """`value` as one of a `kind`, or None where it isn't one."""
    origin, members = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return next((found for member in members if (found := _converted(value, member)) is not None), None)
    if origin is Literal:
        return value if value in members else None
    if origin is tuple and isinstance(value, list | tuple):
        wanted = members if Ellipsis not in members else (members[0],) * len(value)
        items = tuple(map(_converted, value, wanted)) if len(value) == len(wanted) else (None,)
        return None if None in items else items
    if origin is dict:
        return value if isinstance(value, dict) else None
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return value if isinstance(kind, type) and type(value) is kind else None


def _spoken(kind: Any) -> str:
    """A type in words for an error message."""
    origin, members = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(map(str, members))
    if origin in (Union, UnionType):
        return " or ".join(map(_spoken, members))
    if origin is tuple:
        count, kind = "" if Ellipsis in members else f"{len(members)} ", get_origin(members[0]) or members[0]
        return f"a list of {count}{_PLURALS[kind]}"
    return _NAMES[kind]


_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}
_PLURALS = {float: "numbers", str: "texts", dict: "objects"}
