"""A spec's file as a document: its plain values, and the place of each in the text.

A file that can't be read as YAML ends here, with the place. What the values mean is nobody's business here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from yaml.reader import ReaderError

from engine.errors import Place, Problem, SetwrightError, SpecError, did_you_mean
from engine.spec.composer import Composer, Entry, Keys, Node, TooDeepError
from engine.spec.values import BROKEN, describe

Part = Literal["key", "value"]

# What libyaml says, and what usually lies behind it.
_HINTS = {
    "mapping values are not allowed": "quote a text that holds ': ', and check the indentation",
    "tab character": "indent with spaces",
    "can't begin with": "put it in quotes",
    "expected ',' or '}'": 'quote "${NAME}" inside { }, and close every brace',
    "expected ',' or ']'": "close every bracket",
    "did not find expected key": "check the indentation of this line and of those above",
    "unexpected end of stream": "close the quotes",
}


@dataclass(frozen=True)
class Document:
    """A YAML document and where everything in it stands; `file` is the name that the user gave."""

    file: str
    text: str = field(repr=False)
    root: Node = field(repr=False)
    problems: tuple[Problem, ...] = ()
    written: dict[Keys, tuple[Keys, ...]] = field(default_factory=dict, repr=False)
    """Of nodes that stand nowhere as such: where the spec writes them, what has the last word first (see `rounds`)."""

    @classmethod
    def read(cls, path: Path) -> Document:
        """Read a spec's file.

        Raises:
            SetwrightError: the file can't be read.
            SpecError: it isn't UTF-8, isn't YAML, is empty, or isn't a mapping.
        """
        file = str(path)
        text = _decode(_read(path), file)
        composer = Composer(text, file)
        try:
            root = composer.root()
        except yaml.YAMLError as e:
            raise SpecError([*composer.problems, _syntax(e, text, file)]) from None
        document = cls(file, text, root or Node(None, 0, 0), tuple(composer.problems))
        if isinstance(document.data, dict):
            return document
        if document.data is None:
            message = "the file is empty"
        else:
            message = f"a spec is a mapping of keys to values, found {describe(document.data)}"
        known = () if document.data is BROKEN else (Problem(document.place(()), "", message),)
        raise SpecError([*composer.problems, *known])

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def data(self) -> Any:
        """The document's plain values; `BROKEN` stands where a problem was reported."""
        return self.root.value

    def with_tables(self, tables: Mapping[str, Any]) -> Document:
        """The document with further tables, which stand nowhere in the file."""
        value = {**self.data, "tables": {**(self.data.get("tables") or {}), **tables}}
        return replace(self, root=replace(self.root, value=value))

    def as_written(self, path: Keys) -> Keys:
        """The path as the file has it: `rounds.tables.kept.from` for `tables.kept@2.from`."""
        known = self.written.get(path[:2])
        if known is None:
            return path
        paths = [(*begin, *path[2:]) for begin in known]
        return next((path for path in paths if self._holds(path)), paths[-1])

    def _holds(self, path: Keys) -> bool:
        """Whether something stands at `path`."""
        node = self.root
        for step in path:
            entry = _child(node, step)
            if entry is None:
                return False
            node = entry.node
        return True

    def place(self, path: Keys, of: Part = "value") -> Place:
        """Where the key or value at `path` begins; of a path that isn't there, the key of its nearest ancestor."""
        line, column, node = self.root.line, self.root.column, self.root
        for step in self.as_written(path):
            entry = _child(node, step)
            if entry is None:
                of = "key"
                break
            line, column, node = entry
        if of == "value":
            line, column = node.line, node.column
        return Place(self.file, line + 1, column + 1)

    def place_within(self, path: Keys, text: str, offset: int) -> Place:
        """The place of a character of the string at `path`, which reads `text`.

        The place of the string itself where it isn't written as it reads: its quotes hold escapes, its lines are
        folded, or a variable of the environment was put in.
        """
        start = self.place(path)
        lines = self._lines
        begin = text.rfind("\n", 0, offset) + 1
        wanted = text[begin:].partition("\n")[0]
        number, column = start.line - 1 + text.count("\n", 0, offset), 0
        if lines[number - text.count("\n", 0, offset)][start.column - 1] in "|>":
            number += 1
        elif begin == 0:
            column = start.column - 1
        found = lines[number].find(wanted, column) if wanted and number < len(lines) else -1
        return start if found < 0 else Place(self.file, number + 1, found + offset - begin + 1)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise SetwrightError(f"there is no file {path}", cure=_nearby(path)) from None
    except OSError as e:
        raise SetwrightError(f"can't read {path}: {e.strerror}") from None


def _nearby(path: Path) -> str | None:
    """The specs that stand where one was looked for."""
    names = [p.name for pattern in ("*.yaml", "*.yml") for p in path.parent.glob(pattern)]
    return f"{path.parent} holds{did_you_mean(path.name, names)}" if names else None


def _decode(raw: bytes, file: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        before = raw[: e.start].decode("utf-8-sig", errors="replace")
        place = _place_after(before, file)
        message = f"the byte 0x{raw[e.start]:02x} is not UTF-8; save the file as UTF-8"
        raise SpecError([Problem(place, "", message)]) from None


def _syntax(error: yaml.YAMLError, text: str, file: str) -> Problem:
    """What libyaml says, where it says it; at the end of the text rather where the unfinished thing began."""
    if isinstance(error, ReaderError):
        place = _place_after(text.encode()[: error.position].decode(), file)
        return Problem(place, "", f"the character U+{int(error.character):04X} can't stand in YAML")
    assert isinstance(error, yaml.MarkedYAMLError)
    mark = error.problem_mark
    if error.context_mark is not None and (mark is None or mark.line >= len(text.splitlines())):
        mark = error.context_mark
    assert mark is not None
    place = Place(file, mark.line + 1, mark.column + 1)
    if isinstance(error, TooDeepError):
        return Problem(place, "", str(error.problem))
    return Problem(place, "", f"not YAML: {_said(error, mark, text)}")


def _said(error: yaml.MarkedYAMLError, mark: yaml.Mark, text: str) -> str:
    """Libyaml's words, made plainer, and the cure where one is known."""
    said = str(error.problem)
    if "cannot start any token" in said:
        found = text.splitlines()[mark.line][mark.column]
        said = "found a tab character" if found == "\t" else f"a value can't begin with {found}"
    if error.context_mark is not None and "flow" in str(error.context) and error.context_mark.line != mark.line:
        said += f" (opened in line {error.context_mark.line + 1})"
    return said + next((f"; {hint}" for part, hint in _HINTS.items() if part in said), "")


def _place_after(text: str, file: str) -> Place:
    return Place(file, text.count("\n") + 1, len(text) - text.rfind("\n"))


def _child(node: Node, step: str | int) -> Entry | None:
    if isinstance(node.children, dict):
        return node.children.get(str(step))
    if node.children and isinstance(step, int) and step < len(node.children):
        child = node.children[step]
        return Entry(child.line, child.column, child)
    return None
