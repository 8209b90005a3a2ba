"""Numbered lists in replies of models, as they come: bold, with labels, with several lines to an item.

Nothing is guessed: what is no list gives no items, and how many there must be is for the caller to check.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_ITEM = re.compile(
    r"""^(?P<indent>[ \t]*) (?:[-+]\ +)? \#{0,6}\ * (?P<open>[*_]*)
        (?:(?P<label>[A-Za-z]+)\ )? [\#(\[]? (?P<number>\d{1,3}) (?P<end>[.):\]]+) (?P<close>[*_]*) (?!\d) [ \t]*
        (?P<text>.*)$""",
    re.VERBOSE,
)
_HEADING = re.compile(r"^[ \t]*(?P<marks>[#*_]*)[ \t]*(?P<text>[^.!?]{1,80}?):?(?P<close>[*_]*):?[ \t]*$")


class _Item(NamedTuple):
    """The first line of an item."""

    indent: int
    label: str | None
    number: int
    text: str


def numbered(reply: str, label: str | None = None) -> list[str]:
    """The items of a numbered list, in order, each with the lines that follow it up to the next item.

    An item has the number that comes next and is indented as the first one, so that lists inside an item stay there.
    "1.", "2)", "(3)", "**4.**" and, with the label "Question", "Question 5:" begin one. What stands before the first
    item is not read.

    Args:
        reply: the text.
        label: a word that may stand before the number.
    """
    items: list[list[str]] = []
    indent = 0
    for line in reply.splitlines():
        item = _item(line, [] if label is None else [label])
        if item is not None and item.number == len(items) + 1 and (not items or item.indent == indent):
            indent = item.indent
            items.append([item.text])
        elif items:
            items[-1].append(line)
    return ["\n".join(lines).strip() for lines in items]


def labelled(reply: str, labels: Sequence[str]) -> dict[str, list[str]]:
    """The items of several lists by the label of each, in order; one after the other, or with their items in turns.

    An item belongs to the label before its number ("Action 2: ..."), or else to the last heading ("## Actions"). Items
    under no label are left out, so that one list can't be taken for another. An item ends at an empty line.

    Args:
        reply: the text.
        labels: in the singular, in small letters.
    """
    lists: dict[str, list[str]] = {label: [] for label in labels}
    current: list[str] | None = None
    within = False  # an item that may go on in the next line
    for line in reply.splitlines():
        item, heading = _item(line, labels), _heading(line, labels)
        if item is not None:
            within = (current := lists[item.label] if item.label else current) is not None
            if current is not None:
                current.append(item.text)
        elif heading is not None:
            current, within = lists[heading], False
        elif not line.strip():
            within = False
        elif within and current:
            current[-1] = f"{current[-1]} {line.strip()}".strip()
    return lists


def _item(line: str, labels: Sequence[str]) -> _Item | None:
    """What a line begins, if it begins an item of a list."""
    found = _ITEM.match(line)
    if found is None or (found["label"] and found["label"].lower() not in labels):
        return None
    text = found["text"]
    if found["open"] and not found["close"]:  # "**1. Title** text"
        text = text.replace(found["open"], "", 1)
    label = found["label"].lower() if found["label"] else None
    return _Item(len(found["indent"].expandtabs()), label, int(found["number"]), text.strip())


def _heading(line: str, labels: Sequence[str]) -> str | None:
    """The one label that a heading names, in the singular or plural."""
    found = _HEADING.match(line)
    if found is None or not (found["marks"] or line.rstrip().endswith(":") or len(found["text"].split()) == 1):
        return None
    words = re.findall("[a-z]+", found["text"].lower())
    named = [label for label in labels if label in words or f"{label}s" in words]
    return named[0] if len(named) == 1 else None
