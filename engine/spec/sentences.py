"""What pydantic says of a wrong value, as a plain sentence: what was expected, what was found, and the nearest name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from engine.errors import did_you_mean
from engine.spec.values import describe

_TYPES = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "path_type": "a path",
}
_LIMITS = {
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "finite_number": "must be a finite number",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "string_pattern_mismatch": "must match the pattern {pattern}",
}


def sentence(errors: Sequence[ErrorDetails], value: Any, *, secret: bool = False) -> str:
    """One sentence about one value, of all errors that pydantic has for it (a union has one a member)."""
    errors = [e for e in errors if e["type"] != "none_required"] or errors  # that a key may be absent is no news
    found = describe(value, secret=secret)
    expected = [_TYPES[e["type"]] for e in errors if e["type"] in _TYPES]
    if len(expected) == len(errors):
        return f"expected {_either(expected)}, found {found}"
    error = next(e for e in errors if e["type"] not in _TYPES)
    context = error.get("ctx", {})
    match error["type"]:
        case "value_error":
            return str(context["error"])
        case "literal_error" | "enum":
            return f"expected {context['expected']}, found {found}{_nearest(value, context['expected'])}"
        case "string_too_short" | "too_short" if context["min_length"] == 1:
            return "must not be empty"
        case kind if kind in _LIMITS:
            limits = {name: _plain(limit) for name, limit in context.items()}
            return f"{_LIMITS[kind].format(**limits)}, found {found}"
        case _:
            return f"{error['msg'][0].lower()}{error['msg'][1:]}, found {found}"


def _plain(limit: Any) -> Any:
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _either(expected: Iterable[str]) -> str:
    names = list(dict.fromkeys(expected))
    if "a number" in names and "an integer" in names:
        names.remove("an integer")
    return " or ".join(names)


def _nearest(value: Any, expected: str) -> str:
    """The literal that was meant, where one is near; the sentence lists them anyway."""
    hint = did_you_mean(value, re.findall(r"'([^']*)'", expected)) if isinstance(value, str) else ""
    return hint if "did you mean" in hint else ""


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys that a model takes."""
    return [field.alias or name for name, field in model.model_fields.items()]


def nested_keys(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    """The keys that are known where an unknown one stands, deep in a model."""
    models = [model]
    for step in loc[:-1]:
        annotations = [f.annotation for m in models for name, f in m.model_fields.items() if (f.alias or name) == step]
        models = [nested for annotation in annotations for nested in _models_in(annotation)] or models
    return [key for nested in models for key in keys_of(nested)]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models in a type such as `list[Rule] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
