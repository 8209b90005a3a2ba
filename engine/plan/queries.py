"""The columns of queries: sql tables, stop rules and the queries of data tests, with what each of them reads.

What is wrong is noted with the walk (`columns`) that comes by. How a query's text is understood is `sql`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from engine.errors import did_you_mean
from engine.names import all_rounds, bare
from engine.plan.sql import columns_read, first_line, result_schema
from engine.plan.steps import Columns, Step, Verb
from engine.plan.views import View, schema_of
from engine.schema import PARENT_ID, ROW_ID
from engine.spec.data_tests import Sql
from engine.spec.nodes import DataTest

if TYPE_CHECKING:
    from engine.plan.columns import ColumnsPass


def query_columns(walk: ColumnsPass, step: Step) -> Columns | None:
    """Of a sql table or a stop rule; None where the query doesn't bind."""
    assert step.text is not None
    at = ("sql",) if step.verb is Verb.SQL else ()
    try:
        schema = result_schema(step.text, _schemas(step, walk.views))
    except duckdb.Error as e:
        walk.problem(step, at, first_line(e))
        return None
    if step.verb is Verb.UNTIL and [field.type for field in schema] != [pa.bool_()]:
        given = ", ".join(f"{field.name} ({field.type})" for field in schema)
        walk.problem(step, at, f"a stop rule gives one boolean, and this gives {given}")
    mentioned = columns_read(step.text)
    owners = {
        f"{label}.{name}": column.owner
        for label, table in step.read_names()
        for name, column in walk.views[table].items()
        if mentioned is None or name.lower() in mentioned
    }
    return Columns(owners=owners, writes={f.name: f.type for f in schema if f.name not in (ROW_ID, PARENT_ID)})


def test_columns(walk: ColumnsPass, step: Step) -> Columns:
    """What the data tests of a table read."""
    view = walk.views[step.table]
    owners: dict[str, str] = {}
    for test in step.tests:
        if isinstance(test.args, Sql):
            owners |= _test_owners(walk, step, test, test.args.query)
        for name in test.columns:
            if name in view:
                owners[name] = view[name].owner
            else:
                wrong = f"{step.table} has no column {name!r}{did_you_mean(name, view)}"
                walk.problems.append(walk.spec.problem(test.path, wrong))
    return Columns(owners=owners)


def _test_owners(walk: ColumnsPass, step: Step, test: DataTest, query: str) -> dict[str, str]:
    """The columns that a `sql` test mentions."""
    view = walk.views[step.table]
    try:
        result_schema(query, {bare(step.table): schema_of(view)})
    except duckdb.Error as e:
        walk.problems.append(walk.spec.problem(test.path, first_line(e)))
        return {}
    mentioned = columns_read(query)
    return {name: c.owner for name, c in view.items() if mentioned is None or name.lower() in mentioned}


def _schemas(step: Step, views: Mapping[str, View]) -> dict[str, pa.Schema]:
    """The columns of what a query reads, by the names that it has for it.

    Raises:
        duckdb.Error: the types of a column in several rounds don't go together.
    """
    found = {}
    for name, nodes in step.names.items():
        if isinstance(nodes, str):
            found[name] = schema_of(views[nodes])
        else:
            together = all_rounds((number, f'FROM "{node}"') for number, node in enumerate(nodes, start=1))
            found[name] = result_schema(together, {node: schema_of(views[node]) for node in nodes})
    return found
