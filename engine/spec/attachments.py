"""What hangs on a table: its scores and its data tests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from engine.operator import Kind
from engine.spec.composer import Keys
from engine.spec.data_tests import DATA_TESTS, Sql
from engine.spec.forms import NAME, ScoreForm, TestForm
from engine.spec.nodes import DataTest, ScoreNode
from engine.spec.scope import Scope, SqlText
from engine.spec.uses import read_use
from engine.spec.validate import read_form, read_params
from engine.spec.values import quoted

_TAKEN = frozenset({"from", "tests"})
"""`table.from` and `table.tests` are steps of the plan."""


def read_scores(table: str, items: Sequence[Any], path: Keys, scope: Scope) -> tuple[ScoreNode, ...]:
    """The scores of a table that have no problems of their own."""
    found: list[ScoreNode] = []
    names: set[str] = set()
    for i, item in enumerate(items):
        at = (*path, i)
        # `- length` is short for `- {score: length}`.
        form = read_form(ScoreForm, {"score": item} if isinstance(item, str) else item, at, "a score", scope.problems)
        if form is None:
            continue
        if form.score is None:
            if not form.broken("score"):
                scope.problems.add((*at, "score"), "missing (a score names its scorer)")
            continue
        _check_name(form, names, at, scope)
        use = read_use(Kind.SCORE, form.score, form, at, table, scope)
        if use.params is not None:
            name = f"{table}.{form.as_ or form.score}"
            columns = form.columns or {}
            found.append(ScoreNode(name, table, form.score, use.models, use.sides, use.params, columns, form.as_))
    return tuple(found)


def _check_name(form: ScoreForm, names: set[str], path: Keys, scope: Scope) -> None:
    """A score's name is one of its table's alone, and fit for the columns that it names."""
    name = form.as_ or form.score
    assert name is not None
    at = (*path, "as" if form.as_ else "score")
    if form.as_ is not None and (form.as_ in _TAKEN or not re.fullmatch(NAME, form.as_)):
        scope.problems.add(at, "a name is made of a-z, 0-9 and _, begins with a letter, and is neither from nor tests")
    elif name in names:
        scope.problems.add(at, f"a second score named {quoted(name)} on this table; give it another name by `as:`")
    names.add(name)


def read_tests(table: str, items: Sequence[Any], path: Keys, scope: Scope) -> tuple[DataTest, ...]:
    """The data tests of a table that have no problems of their own."""
    found: dict[str, DataTest] = {}
    for i, item in enumerate(items):
        test = _read_test(table, item, (*path, i), scope)
        if test is None:
            continue
        if test.label in found:
            first = scope.problems.document.place(found[test.label].path).line
            scope.problems.add(test.path, f"the same test stands in line {first}")
        found.setdefault(test.label, test)
    return tuple(found.values())


def _read_test(table: str, item: Any, path: Keys, scope: Scope) -> DataTest | None:
    form = read_form(TestForm, item, path, "a data test", scope.problems)
    if form is None:
        return None
    kinds = [kind for kind in DATA_TESTS if getattr(form, kind) is not None]
    if len(kinds) != 1:
        if kinds or item.keys() <= {"severity"}:  # a key that is no test has been reported
            scope.problems.add(path, f"a data test has one of: {', '.join(DATA_TESTS)}")
        return None
    (kind,) = kinds
    args = read_params(DATA_TESTS[kind], getattr(form, kind), (*path, kind), f"the test {kind}", scope.problems)
    if args is None:
        return None
    test = DataTest(kind, args, form.severity or "error", path)
    if isinstance(args, Sql):
        scope.test_queries.append(SqlText((*path, kind), args.query, table))
    return test
