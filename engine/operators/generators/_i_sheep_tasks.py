"""The list of tasks that I-SHEEP lets a model go on with: how it is written and read, and which tasks are bad.

The format is that of Alpaca's self-instruct: blocks of "n. Instruction:" and "n. Input:", with "###" between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

NO_INPUT = "<noinput>"
BETWEEN = "###"
MORE_THAN, AT_MOST = 3, 150  # words

_LABEL = re.compile(r"(\d+)\.\s+(Instruction|Input):")
_BEYOND_TEXT = re.compile(
    r"\b(images?|graphs?|pictures?|files?|maps?|draw|plot|go to|video|audio|music|flowchart|diagram)\b", re.IGNORECASE
)
_FORBIDDEN = {
    "beyond_text": _BEYOND_TEXT,
    "marker_left": re.compile(r"<\s*no\s*input\s*>|\bnoinput\b", re.IGNORECASE),
    "label_inside": re.compile(r"\b(Instruction|Input|Output):"),
    "url": re.compile(r"https?://|\bwww\.", re.IGNORECASE),
}


@dataclass(frozen=True)
class Task:
    """A block of a reply. `filter` is the name of the first rule that it fails, None if it passes all of them."""

    block: int  # its number in the reply, from 0
    raw: str
    instruction: str | None = None
    input: str | None = None
    filter: str | None = None


def demonstrations(seeds: Sequence[dict[str, Any]]) -> str:
    """Numbered blocks of the seeds, and the beginning of the next one."""
    blocks = []
    for n, seed in enumerate(seeds, 1):
        given = (seed.get("input") or "").strip() or NO_INPUT
        blocks.append(f"{n}. Instruction: {folded(seed['instruction'])}\n{n}. Input:\n{given}\n")
    return f"{BETWEEN}\n".join([*blocks, opening(len(seeds))])


def opening(given: int) -> str:
    """How the first block after the given ones begins."""
    return f"{given + 1}. Instruction:"


def folded(text: str) -> str:
    """The text on one line."""
    return " ".join(text.split())


def begins_a_block(reply: str) -> bool:
    """Whether a reply begins with the label of a block."""
    found = _LABEL.match(reply.lstrip())
    return found is not None and found[2] == "Instruction"


def read_tasks(text: str) -> Iterator[Task]:
    """The blocks of a list; the last one, most likely cut in the middle, is never used. Blank ones are left out."""
    blocks = text.split(BETWEEN)
    for number, raw in enumerate(blocks):
        if not raw.strip():
            continue
        if number == len(blocks) - 1:
            yield Task(number, raw, filter="last_block")
            continue
        pieces = _LABEL.split(raw)  # before, number, label, text, number, label, text
        if len(pieces) != 7 or pieces[0].strip() or pieces[1:3] != [pieces[4], "Instruction"] or pieces[5] != "Input":
            yield Task(number, raw, filter="malformed_block")
            continue
        instruction, given = pieces[3].strip(), pieces[6].strip()
        given = "" if given.lower() == NO_INPUT else given
        yield Task(number, raw, instruction, given, failed_rule(instruction, given))


def failed_rule(instruction: str, given: str) -> str | None:
    """The first of I-SHEEP's rules for prompts that an instruction or its input fails, by name."""
    words = len(instruction.split())
    if words <= MORE_THAN:
        return "too_short"
    if words > AT_MOST:
        return "too_long"
    first = instruction[0]
    if not (first.isascii() and first.isalnum()):
        return "first_character"
    return next((rule for rule, found in _FORBIDDEN.items() if found.search(instruction) or found.search(given)), None)
