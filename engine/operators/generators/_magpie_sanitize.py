"""Magpie's sanitizer: from what Llama 3.x or Gemma 2 wrote as the user to one clean instruction.

The rules and their order follow those of the official scripts (magpie-align/magpie) as they are described, not their
expressions. One of these asks for more than it means to (an answer marker needs a second colon); here a marker is a
line that begins with the word and a colon.
"""

from __future__ import annotations

import re
from enum import Enum

_LABEL = r"(?:task|prompt|question|problem|scenario|context|exercise|q)\s*\d*"
_PREFIX = re.compile(
    rf"\s*(?:\d{{1,3}}[.)]\s+|#+\s*{_LABEL}\s*:?\s*\n|(?:#+\s*)?(?:\*\*|__)?{_LABEL}\s*(?:\*\*|__)?\s*:\s*(?:\*\*|__)?"
    rf"|(?:\*\*|__){_LABEL}(?:\*\*|__)\s*\n)\s*",
    re.IGNORECASE,
)
_ANSWER = re.compile(r"^[\s#*_>]*(?:answer|solution)\s*\d*[\s*_]*:", re.IGNORECASE | re.MULTILINE)
_STEP = re.compile(r"^[\s#*_]*step 1\b", re.IGNORECASE | re.MULTILINE)


class Rule(float, Enum):
    """Which rule changed the text, as `sanitize_class` has it."""

    PREFIX = 0.0  # a list number or label was dropped, nothing else
    QUOTED = 1.0  # began with `*` or a quote: up to the first question mark
    ANSWER = 2.0  # cut before an answer or solution
    STEP = 2.1  # cut before "Step 1"
    HEADING = 3.0  # line 1 ends with a colon: cut before `#`
    QUESTION_AFTER_COLON = 3.1  # ... else up to the first question mark
    LINE_WITH_COLON = 3.2  # ... else line 1
    QUESTION = 4.0  # up to the first question mark
    LINE = 4.1  # line 1


def sanitize(raw: str) -> tuple[str, Rule | None]:
    """The instruction in `raw`, and the rule that made it; None where it stays as it is."""
    text = without_prefix(raw)
    shorter, rule = _shortened(text)
    clean = without_prefix(shorter)
    if clean == raw.strip():
        return clean, None
    return clean, rule if shorter != text else Rule.PREFIX


def without_prefix(text: str) -> str:
    """Without list numbers and labels at its beginning, plain, bold or as headings, however many there are."""
    text = text.strip()
    while found := _PREFIX.match(text):
        text = text[found.end() :].strip()
    return text


def _shortened(text: str) -> tuple[str, Rule]:
    line = text.split("\n", 1)[0].strip()
    if text[:1] in ("*", '"', "'", "\u201c"):
        return _question(text) or text, Rule.QUOTED
    for marker, rule in ((_ANSWER, Rule.ANSWER), (_STEP, Rule.STEP)):
        found = marker.search(text)
        if found and found.start():
            return text[: found.start()].strip(), rule
    if line.endswith(":"):
        if "#" in text:
            return text.split("#", 1)[0].strip(), Rule.HEADING
        return (_question(text), Rule.QUESTION_AFTER_COLON) if "?" in text else (line, Rule.LINE_WITH_COLON)
    return (_question(text), Rule.QUESTION) if "?" in text else (line, Rule.LINE)


def _question(text: str) -> str:
    head, mark, _ = text.partition("?")
    return head + mark if mark else ""
