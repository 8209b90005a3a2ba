"""What is checked once every node has been read: the SQL of a spec, and that no node stands on itself.

All SQL is parsed in three calls, since a call of DuckDB's parser costs more than the parsing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.errors import Place
from engine.names import bare
from engine.spec.loop import UnclearError
from engine.spec.queries import check_expressions, read_queries
from engine.spec.scope import Scope, SqlText
from engine.spec.sql_walk import Reading
from engine.spec.values import quoted

Named = list[tuple[SqlText, str, Place]]


def read_sql(scope: Scope) -> None:
    """Check all SQL; the tables that a query names become edges of the graph."""
    for sql, name, place in _read(scope.queries, read_queries, scope):
        if "." in name or "/" in name:
            scope.problems.add(sql.path, f"{quoted(name)} is a file; let a source table read it", place=place)
        else:
            _bind(sql, name, place, scope)
    for sql, name, place in _read(scope.test_queries, read_queries, scope):
        own = bare(sql.table)
        if name != own:
            scope.problems.add(sql.path, f"a test sees no table but its own, {own}: {quoted(name)}", place=place)
    _read(scope.expressions, check_expressions, scope)


def _bind(sql: SqlText, name: str, place: Place, scope: Scope) -> None:
    """Find the table, or the tables of all rounds, that a name in a query means."""
    try:
        meaning = scope.loop.in_query(name, sql.table)
    except UnclearError as e:
        scope.problems.add(sql.path, str(e), place=place)
        return
    if meaning is None:
        nothing = f"{name} is nothing in round 1; name under rounds.first a table that stands in for it"
        scope.problems.add(sql.path, nothing, place=place)
        return
    nodes = (meaning,) if isinstance(meaning, str) else meaning
    if all(scope.is_table(node, sql.path, place) for node in nodes):
        scope.edges[sql.table] |= dict.fromkeys(nodes, (sql.path, place))
        scope.names.setdefault(sql.table, {})[name] = meaning


def _read(texts: list[SqlText], read: Callable[[Sequence[str]], list[Reading]], scope: Scope) -> Named:
    """What the texts name, and where; their faults become problems."""
    named: Named = []
    readings = read([sql.text for sql in texts]) if texts else []
    for sql, reading in zip(texts, readings, strict=True):
        for fault in reading.faults:
            scope.problems.add(sql.path, fault.message, place=scope.problems.within(sql.path, sql.text, fault.offset))
        named += [(sql, name, scope.problems.within(sql.path, sql.text, at)) for name, at in reading.tables.items()]
    return named


def check_cycles(scope: Scope) -> None:
    """Report each way on which a table or a trained model stands on itself, where the spec closes it.

    The walk goes down from each node in the order of the spec and keeps its trail by hand: a chain of a thousand
    tables is deeper than Python's stack.
    """
    done: set[str] = set()
    for root in dict.fromkeys([*scope.tables, *scope.edges]):
        trail, ways = [root], [iter(scope.edges[root])]
        while trail:
            source = next(ways[-1], None)
            if source is None:
                done.add(trail.pop())
                ways.pop()
            elif source in trail:
                _report_cycle(trail, source, scope)
            elif source not in done:
                trail.append(source)
                ways.append(iter(scope.edges[source]))


def _report_cycle(trail: list[str], source: str, scope: Scope) -> None:
    path, place = scope.edges[trail[-1]][source]
    cycle = [*trail[trail.index(source) :], source]
    itself = "a model can't be its own base" if path[-1] == "base" else "a model can't judge its own training"
    itself = itself if source in scope.models else "a table can't read itself"
    message = itself if len(cycle) == 2 else f"cycle: {' -> '.join(cycle)}"
    scope.problems.add(path, message, place=place)
