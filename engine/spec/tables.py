"""A table of the spec: its verb and what goes with it, and the tables that it reads."""

from __future__ import annotations

from typing import Any, cast, get_args

from engine.operator import Kind, Params
from engine.spec.attachments import read_scores, read_tests
from engine.spec.composer import Keys
from engine.spec.forms import TableForm
from engine.spec.nodes import TableNode, Verb
from engine.spec.scope import Scope, SqlText
from engine.spec.uses import Use, read_use
from engine.spec.validate import read_form, read_params

VERBS: tuple[Verb, ...] = get_args(Verb)

_REFUSED: dict[Verb, dict[str, str]] = {
    "source": {"from": "", "model": "", "columns": ""},
    "generate": {},
    "select": {},
    "sql": {"from": "; name the tables in the query", "model": "", "params": "", "columns": ""},
}
"""The keys that a verb doesn't take, and what to do instead."""


def source_params() -> type[Params]:
    """The params of a source; imported late, since reading files is no business of a spec."""
    from engine.sourcing import SourceParams

    return SourceParams


def read_table(name: str, data: Any, scope: Scope) -> TableNode | None:
    """A table, None where it can't be one; its `inputs` are filled in once all queries have been read."""
    path = ("tables", name)
    scope.edges[name] = {}
    form = read_form(TableForm, data, path, "a table", scope.problems)
    if form is None:
        return None
    verb = _verb(form, path, scope)
    _read_from(name, form, path, scope)
    node = _of_verb(verb, name, form, path, scope) if verb else None
    scores = read_scores(name, form.scores or (), (*path, "scores"), scope)
    tests = read_tests(name, form.tests or (), (*path, "tests"), scope)
    ...
