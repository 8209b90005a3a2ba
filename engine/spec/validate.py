"""A spec's mappings against pydantic models: every error becomes a problem with its place, and reading goes on.

A key that is clearly a misspelling is reported and then read as the key that was meant, so that what it holds is
checked, too, and nothing is called missing that stands there.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, RootModel, ValidationError
from pydantic_core import ErrorDetails

from engine.errors import did_you_mean
from engine.spec.composer import Keys
from engine.spec.environment import FromEnvironment, may_hold_secret
from engine.spec.forms import Form, HandoffForm, ModelForm, ScoreForm, TableForm
from engine.spec.problems import Problems
from engine.spec.sentences import keys_of, nested_keys, sentence
from engine.spec.values import Broken, describe, plain_scalar

M = TypeVar("M", bound=BaseModel)
S = TypeVar("S", bound=Form)

_CLEARLY = 0.75  # difflib's ratio from which a key is read as the one that it resembles
_PARSED = frozenset({"int_type", "float_type", "bool_type"})


def read_form(form: type[S], data: Any, path: Keys, owner: str, problems: Problems) -> S | None:
    """The sound values of a mapping; those that were wrong are absent and `broken`. None where it is no mapping."""
    reading = _Reading(form, data, path, owner, problems)
    if not reading.mapping("key"):
        return None
    value, wrong = reading.parse(form.model_validate)
    if value is None:
        value = form.model_validate({key: item for key, item in reading.values.items() if key not in wrong})
        value._broken = frozenset(wrong)
    return value


def read_params(model: type[M], data: Any, path: Keys, owner: str, problems: Problems) -> M | None:
    """The parameters of `owner` (`select: deita`), or None after a problem.

    They are validated as JSON, whose strict mode takes a list for a tuple and a string for an enum or a path.
    """
    reading = _Reading(model, data, path, owner, problems)
    if not issubclass(model, RootModel) and not reading.mapping("parameter"):
        return None
    context = {"folder": Path(problems.document.file).parent}  # where the paths of prompts begin
    return reading.parse(
        lambda values: model.model_validate_json(json.dumps(values, default=lambda _: None), context=context)
    )[0]


def read_own_params(
    model: type[M], form: ModelForm | TableForm | ScoreForm | HandoffForm, path: Keys, owner: str, problems: Problems
) -> M | None:
    """The parameters under the key `params` of the mapping at `path`, or None after a problem."""
    if form.broken("params"):
        return None
    return read_params(model, form.params or {}, (*path, "params"), owner, problems)


class _Reading:
    """One mapping (or a root model's value) on its way through a pydantic model."""

    def __init__(self, model: type[BaseModel], data: Any, path: Keys, owner: str, problems: Problems) -> None:
        self.values = data
        self._model = model
        self._path = path
        self._owner = owner
        self._problems = problems
        self._written: dict[str, str] = {}  # a key that was meant: how it was written
        self._dropped = False  # whether a key was left out, since nobody can say what it means

    def mapping(self, noun: str) -> bool:
        """Whether there is a mapping to read; reports its unknown keys and sets them right where it can."""
        if not isinstance(self.values, dict):
            if not isinstance(self.values, Broken):
                self._problems.add(self._path, f"expected a mapping, found {describe(self.values)}")
            return False
        fields = keys_of(self._model)
        unknown = [key for key in self.values if key not in fields]
        if unknown:
            self.values = dict(self.values)
        for key in unknown:
            hint = did_you_mean(key, fields)
            self._problems.add((*self._path, key), f"unknown {noun} of {self._owner}{hint}", of="key")
            self._read_as_meant(key, fields)
        return True

    def _read_as_meant(self, key: str, fields: list[str]) -> None:
        value = self.values.pop(key)
        meant = difflib.get_close_matches(key, fields, n=1, cutoff=_CLEARLY)
        if meant and meant[0] not in self.values:
            self.values[meant[0]] = value
            self._written[meant[0]] = key
        else:
            self._dropped = True

    def parse(self, parse: Callable[[Any], M]) -> tuple[M | None, set[Any]]:
        """The parsed values, or None and the keys whose values are wrong, which are reported."""
        try:
            return parse(self.values), set()
        except ValidationError as e:
            errors = e.errors(include_url=False)
        if self._read_environment(errors):
            return self.parse(parse)
        return None, self._report(errors)

    def _read_environment(self, errors: list[ErrorDetails]) -> bool:
        """Turn strings of the environment into numbers and booleans where these are wanted; whether any was."""
        changed = False
        for error in errors:
            at, value = self._locate(error)
            if error["type"] in _PARSED and isinstance(value, FromEnvironment):
                parsed = plain_scalar(value)
                if isinstance(parsed, int | float):
                    self.values = _replaced(self.values, at, parsed)
                    changed = True
        return changed

    def _report(self, errors: list[ErrorDetails]) -> set[Any]:
        groups: dict[Keys, list[ErrorDetails]] = {}
        for error in errors:
            groups.setdefault(self._locate(error)[0], []).append(error)
        for at, group in groups.items():
            # Of a union the member that got furthest knows best: of `[1, b]` it is the list, not the string.
            if not any(other[: len(at)] == at and len(other) > len(at) for other in groups):
                self._report_value(at, group)
        return {at[0] for at in groups if at}

    def _report_value(self, at: Keys, errors: list[ErrorDetails]) -> None:
        path = (*self._path, *at) if not at else (*self._path, self._written.get(str(at[0]), at[0]), *at[1:])
        value = self._locate(errors[0])[1]
        if isinstance(value, Broken) or (not at and (self._dropped or _holds_broken(self.values))):
            return  # what a model says of all its values together means nothing where some are lost
        match errors[0]["type"]:
            case "missing":
                self._problems.add(path, f"missing ({self._owner} needs it)")
            case "extra_forbidden":
                hint = did_you_mean(str(at[-1]), nested_keys(self._model, errors[0]["loc"]))
                self._problems.add(path, f"unknown key{hint}", of="key")
            case _:
                origin = " (from the environment)" if isinstance(value, FromEnvironment) else ""
                self._problems.add(path, sentence(errors, value, secret=may_hold_secret((*self._path, *at))) + origin)

    def _locate(self, error: ErrorDetails) -> tuple[Keys, Any]:
        """Where in the values an error is (pydantic's own names for a union's members left out), and what is there."""
        value: Any = self.values
        at: list[str | int] = []
        for step in error["loc"]:
            inside = dict(enumerate(value)) if isinstance(value, list) else value
            if isinstance(inside, dict) and step in inside:
                value = inside[step]
                at.append(step)
        if error["type"] == "missing":
            at.append(error["loc"][-1])
        return tuple(at), value


def _replaced(values: Any, at: Keys, new: Any) -> Any:
    """A copy of nested values with one of them replaced."""
    if not at:
        return new
    copied: Any = values.copy()
    copied[at[0]] = _replaced(values[at[0]], at[1:], new)
    return copied


def _holds_broken(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_holds_broken, value.values() if isinstance(value, dict) else value))
    return isinstance(value, Broken)
