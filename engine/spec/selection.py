"""dbt's selection language on the names of a graph's nodes.

    a            the node, or all rounds of what repeats (one of them: a@2, a@last)
    +a  a+       with all that it reads, with all that reads it
    2+a+1        at most so far      @a          with all that reads it, and all that those read
    tag:x        nodes of a tag      curat*      nodes by pattern (`*`, `?`, `[...]`)

Names with a space between them are a union, with a comma an intersection; the comma binds tighter.
(dbt: docs.getdbt.com/reference/node-selection)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from engine.errors import SetwrightError, did_you_mean
from engine.names import bare

_TERM = re.compile(r"(?P<at>@)?(?:(?P<up>\d*)\+)?(?P<name>[^@+][^+]*?)(?:\+(?P<down>\d*))?")

Edges = Mapping[str, Iterable[str]]


def select(expression: str, graph: Edges, tags: Mapping[str, frozenset[str]]) -> set[str]:
    """The nodes that an expression names.

    Args:
        expression: such as `+curated tag:nightly,pool+`.
        graph: each node and the nodes that it reads.
        tags: the tags of nodes; a node without tags may be absent.

    Raises:
        SetwrightError: the expression is empty or malformed, or a part of it matches no node.
    """
    unions = expression.split()
    if not unions:
        raise SetwrightError("the selection is empty", cure="name a node, as in +curated")
    readers = _readers(graph)
    return {node for union in unions for node in _intersection(union, graph, readers, tags)}


def _intersection(text: str, graph: Edges, readers: Edges, tags: Mapping[str, frozenset[str]]) -> set[str]:
    terms = [_term(term, graph, readers, tags) for term in text.split(",")]
    return set.intersection(*terms)


def _term(text: str, graph: Edges, readers: Edges, tags: Mapping[str, frozenset[str]]) -> set[str]:
    match = _TERM.fullmatch(text)
    if match is None or (match["at"] and (match["up"], match["down"]) != (None, None)):
        raise SetwrightError(f"can't read {text!r} in the selection", cure="write a, +a, a+, 2+a+1, @a, tag:x or a*")
    named = _named(match["name"], graph, tags)
    if match["at"]:
        return _reach(_reach(named, readers, None), graph, None)
    chosen = set(named)
    if match["up"] is not None:
        chosen |= _reach(named, graph, _steps(match["up"]))
    if match["down"] is not None:
        chosen |= _reach(named, readers, _steps(match["down"]))
    return chosen


def _named(name: str, graph: Edges, tags: Mapping[str, frozenset[str]]) -> set[str]:
    if name.startswith("tag:"):
        tag = name.removeprefix("tag:")
        found = {node for node in graph if tag in tags.get(node, ())}
        hint = did_you_mean(tag, {tag for node in graph for tag in tags.get(node, ())})
        missing = f"no node has the tag {tag!r}{hint}"
    elif any(c in name for c in "*?["):
        found = {node for node in graph if fnmatchcase(node, name)}
        missing = f"no node matches {name!r}"
    else:
        found = {name} & graph.keys() or {node for node in graph if bare(node) == name}
        missing = f"there is no node {name!r}{did_you_mean(name, graph)}"
    if not found:
        raise SetwrightError(missing)
    return found


def _steps(digits: str) -> int | None:
    return int(digits) if digits else None


def _readers(graph: Edges) -> dict[str, list[str]]:
    """The graph's edges turned round."""
    readers: dict[str, list[str]] = {node: [] for node in graph}
    for node, inputs in graph.items():
        for source in inputs:
            readers[source].append(node)
    return readers


def _reach(start: set[str], edges: Edges, steps: int | None) -> set[str]:
    """The nodes at most so many steps away (None: any number), with those of the start."""
    reached, edge = set(start), set(start)
    while edge and steps != 0:
        edge = {target for node in edge for target in edges[node]} - reached
        reached |= edge
        steps = None if steps is None else steps - 1
    return reached
