"""YAML's events become nodes: plain values that remember where they stand in the text.

What a document may say in YAML is decided here (one document, string keys, no key twice, no unknown tag); what a spec
may say is not. Only text that isn't YAML at all ends the reading; everything else is noted and read past.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml
from yaml import AliasEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, StreamEndEvent

from engine.errors import Place, Problem, did_you_mean
from engine.spec.values import BROKEN, describe, plain_scalar

Keys = tuple[str | int, ...]
"""A path in the document: `("tables", "pool", "scores", 0)`."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_DEPTH = 100
MAX_SIZE = 1_000_000
_YAML = "tag:yaml.org,2002:"


@dataclass(slots=True)
class Node:
    """A value and where it begins (line and column count from 0). `size` counts the values in it, itself included."""

    value: Any
    line: int
    column: int
    children: dict[str, Entry] | list[Node] | None = None
    size: int = 1


class Entry(NamedTuple):
    """An entry of a mapping: where its key stands, and its value."""

    line: int
    column: int
    node: Node


class TooDeepError(yaml.MarkedYAMLError):
    """A document nested so deeply that it can only be a mistake or an attack."""


def dotted(path: Keys) -> str:
    """`tables.pool.scores.0`."""
    return ".".join(map(str, path))


class Composer:
    """Reads one document. `problems` collects what is wrong with it and does not end the reading.

    It works on events, not on PyYAML's own nodes: those lose the place of an alias, and building them overflows the
    stack on a document of many levels.
    """

    def __init__(self, text: str, file: str) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._text = text
        self._anchors: dict[str, Node | None] = {}  # None while the node itself is being read

    def root(self) -> Node | None:
        """The document's node, None where the text holds nothing; raises `yaml.YAMLError` where it isn't YAML."""
        self._loader = LOADER(self._text)
        self._next()
        if self._at(StreamEndEvent):
            return None
        self._next()
        root = self._node(())
        self._next()
        if root.size > MAX_SIZE:
            self._report(root, (), f"its aliases make this a document of more than {MAX_SIZE:,} values")
            root.value = BROKEN
        if not self._at(StreamEndEvent):
            mark = self._loader.peek_event().start_mark
            second = Node(None, mark.line, mark.column)
            self._report(second, (), "a second document begins here; a spec is one document")
        return root

    def _next(self) -> Any:
        return self._loader.get_event()

    def _at(self, *kinds: type) -> bool:
        return bool(self._loader.check_event(*kinds))

    def _node(self, path: Keys) -> Node:
        event = self._next()
        node = Node(BROKEN, event.start_mark.line, event.start_mark.column)
        if isinstance(event, AliasEvent):
            self._alias(node, str(event.anchor), path)
            return node
        if len(path) > MAX_DEPTH:
            raise TooDeepError(problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=event.start_mark)
        if event.anchor:
            self._anchors[event.anchor] = None
        if isinstance(event, ScalarEvent):
            node.value = plain_scalar(event.value) if event.implicit[0] else event.value
            self._check_tag(node, event.tag, "str", path)
        elif isinstance(event, MappingStartEvent):
            self._mapping(node, path)
            self._check_tag(node, event.tag, "map", path)
        else:
            self._sequence(node, path)
            self._check_tag(node, event.tag, "seq", path)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, node: Node, name: str, path: Keys) -> None:
        target = self._anchors.get(name)
        if target is not None:
            node.value, node.children, node.size = target.value, target.children, target.size
        elif name in self._anchors:
            self._report(node, path, f"the alias *{name} stands inside the value that it names")
        else:
            self._report(node, path, f"no anchor &{name} stands before this alias{did_you_mean(name, self._anchors)}")

    def _sequence(self, node: Node, path: Keys) -> None:
        items: list[Node] = []
        while not self._at(SequenceEndEvent):
            items.append(self._node((*path, len(items))))
        self._next()
        node.value = [item.value for item in items]
        node.children = items
        node.size += sum(item.size for item in items)

    def _mapping(self, node: Node, path: Keys) -> None:
        entries: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        while not self._at(MappingEndEvent):
            if self._at_merge():
                merged |= self._merge(path)
            else:
                self._entry(entries, path)
        self._next()
        entries = merged | entries
        node.value = {key: entry.node.value for key, entry in entries.items()}
        node.children = entries
        node.size += sum(entry.node.size for entry in entries.values())

    def _entry(self, entries: dict[str, Entry], path: Keys) -> None:
        key = self._node(path)
        name = key.value
        node = self._node((*path, str(name)))
        if not isinstance(name, str):
            if name is not BROKEN:
                self._report(key, path, f"a key must be a string, found {describe(name)}; put it in quotes")
        elif name in entries:
            self._report(key, (*path, name), f"duplicate key (first in line {entries[name].line + 1})")
        else:
            entries[name] = Entry(key.line, key.column, node)

    def _at_merge(self) -> bool:
        event = self._loader.peek_event()
        return isinstance(event, ScalarEvent) and event.value == "<<" and event.implicit[0]

    def _merge(self, path: Keys) -> dict[str, Entry]:
        """The entries of `<<: *base` or `<<: [*a, *b]`, where the first of two has the last word."""
        self._next()
        given = self._node(path)
        found: dict[str, Entry] = {}
        for source in given.children if isinstance(given.children, list) else [given]:
            if isinstance(source.children, dict):
                found = source.children | found
            elif source.value is not BROKEN:
                self._report(source, path, f"<< takes a mapping or a list of mappings, found {describe(source.value)}")
        return found

    def _check_tag(self, node: Node, tag: str | None, expected: str, path: Keys) -> None:
        if tag not in (None, "!", _YAML + expected):
            self._report(node, path, f"unknown tag {str(tag).replace(_YAML, '!!')}; write the value without it")
            node.value, node.children = BROKEN, None

    def _report(self, node: Node, path: Keys, message: str) -> None:
        self.problems.append(Problem(Place(self._file, node.line + 1, node.column + 1), dotted(path), message))
