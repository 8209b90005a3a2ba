"""Finds operators, source formats and model backends: the name is the file's name, the kind is its folder.

Listing names reads the folder and imports nothing; an operator's file is imported when a spec first uses it.
"""

from __future__ import annotations

import copyreg
import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

from engine.model import Backend
from engine.operator import FOLDERS, Kind, Operator

PACKAGE = Path(__file__).parent


@cache
def operator_names(kind: str) -> tuple[str, ...]:
    """The names of all operators of a kind, sorted."""
    return _module_names(PACKAGE / "operators" / FOLDERS[Kind(kind)])


@cache
def backend_names() -> tuple[str, ...]:
    """The names that `use:` takes, sorted."""
    return _module_names(PACKAGE / "models")


@cache
def operator(kind: str, name: str) -> Operator:
    """The operator `name` of a kind.

    Raises:
        LookupError: there is no such operator (callers that have a place in a spec check the name first).
    """
    if name not in operator_names(kind):
        raise LookupError(f"no operator {kind}: {name}")
    module = importlib.import_module(f"engine.operators.{FOLDERS[Kind(kind)]}.{name}")
    return _only(module, Operator)


@cache
def backend(name: str) -> type[Backend]:
    """The backend class that `use: name` means.

    Raises:
        LookupError: there is no such backend.
    """
    if name not in backend_names():
        raise LookupError(f"no model backend {name}")
    module = importlib.import_module(f"engine.models.{name}")
    (found,) = (
        v
        for v in vars(module).values()
        if isinstance(v, type) and issubclass(v, Backend) and v.__module__ == module.__name__
    )
    return found


def _reduce(op: Operator) -> tuple[Callable[[str, str], Operator], tuple[str, str]]:
    """How an operator travels to a worker: a decorated function can't be pickled by name, the operator's name can."""
    return operator, (op.kind.value, op.name)


copyreg.pickle(Operator, _reduce)


def _module_names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(m.name for m in pkgutil.iter_modules([str(folder)]) if not m.name.startswith("_")))


def _only(module: ModuleType, kind: type[Operator]) -> Operator:
    (found,) = (v for v in vars(module).values() if isinstance(v, kind))
    return found
