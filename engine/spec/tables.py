"""A table of the spec: its verb and what goes with it, and the tables that it reads."""

from __future__ import annotations

from typing import Any, get_args

from engine.operator import Kind, Params
from engine.spec.attachments import read_scores, read_tests
from engine.spec.composer import Keys
from engine.spec.forms import TableForm
from engine.spec.nodes import TableNode, Verb
from engine.spec.scope import Scope, SqlText
from engine.spec.uses import Use, read_use
from engine.spec.validate import read_form, read_own_params

VERBS: tuple[Verb, ...] = get_args(Verb)

_REFUSED: dict[Verb, dict[str, str]] = {
    "source": {"from": "", "model": "", "models": "", "with": "", "columns": ""},
    "generate": {},
    "select": {},
    "sql": {
        "from": "; name the tables in the query",
        "with": "; name the tables in the query",
        "model": "",
        "models": "",
        "params": "",
        "columns": "",
    },
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
    scope.reads(name, form.from_ or (), (*path, "from"))
    use = _operation(verb, name, form, path, scope)
    scores = read_scores(name, form.scores or (), (*path, "scores"), scope)
    tests = read_tests(name, form.tests or (), (*path, "tests"), scope)
    if verb is None:
        return None
    return TableNode(
        name=name,
        verb=verb,
        operator=None if use.operator is None else use.operator.name,
        source=form.source,
        sql=form.sql,
        models=use.models,
        sides=use.sides,
        params=use.params,
        columns=form.columns or {},
        scores=scores,
        tests=tests,
        description=form.description,
        tags=tuple(form.tags or ()),
        owner=form.owner,
    )


def _verb(form: TableForm, path: Keys, scope: Scope) -> Verb | None:
    """The one verb of a table; None after a problem."""
    problems = scope.problems
    given = [verb for verb in VERBS if getattr(form, verb) is not None or form.broken(verb)]
    given.sort(key=lambda verb: problems.document.place((*path, verb), "key"))
    if not given:
        problems.add(path, f"a table has one of: {', '.join(VERBS)}", of="key")
    for verb in given[1:]:
        problems.add((*path, verb), f"a table has one verb, and this one has {given[0]} already", of="key")
    return given[0] if len(given) == 1 and not form.broken(given[0]) else None


def _operation(verb: Verb | None, name: str, form: TableForm, path: Keys, scope: Scope) -> Use:
    """What the verb does: its operator and what that is given, as far as there are any and they are right."""
    if verb is not None:
        _check_keys(verb, form, path, scope)
    if form.sql is not None:
        scope.queries.append(SqlText((*path, "sql"), form.sql, name))
    if verb == "source":
        return Use(None, read_own_params(source_params(), form, path, "a source", scope.problems))
    if verb not in ("generate", "select"):
        return Use(None, None)
    operator = str(getattr(form, verb))
    use = read_use(Kind(verb), operator, form, path, name, scope)
    if form.from_ is None and not form.broken("from"):
        _check_reads(verb, operator, use, path, scope)
    return use


def _check_keys(verb: Verb, form: TableForm, path: Keys, scope: Scope) -> None:
    for key, instead in _REFUSED[verb].items():
        if getattr(form, f"{key}_" if key in ("from", "with") else key) is not None:
            scope.problems.add((*path, key), f"a {verb} table takes no {key}{instead}", of="key")


def _check_reads(verb: Verb, operator: str, use: Use, path: Keys, scope: Scope) -> None:
    """Whether a table can do without `from`: a selector can't, a generator only where it has rows to begin with."""
    at = (*path, "from")
    if verb == "select":
        scope.problems.add(at, f"missing (select: {operator} selects from a table)")
    elif use.operator is not None and use.params is not None and use.operator.roots is None:
        reads = [name for name, column in use.operator.reads_of(use.params).items() if not column.optional]
        what = ", ".join(reads) or "rows"
        scope.problems.add(at, f"missing (generate: {operator} reads {what} from a table)")
