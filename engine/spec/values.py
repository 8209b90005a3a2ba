"""Plain values: which scalar a text means in YAML 1.2's core schema, and how a message speaks of a value.

In the core schema `yes`, `no`, `on` and `off` are strings, and `1e-3` is a number (YAML 1.2.2, section 10.3.2).
"""

from __future__ import annotations

import re
from typing import Any

_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER_STARTS = frozenset("-+.0123456789")
_LONGEST = 400  # characters of a number; Python itself reads integers of 4,300 digits at most
_SHOWN = 60  # characters of a value in a message


class Broken:
    """Stands in for a value that a problem has been reported for, so that nothing more is said of it."""


BROKEN = Broken()


def plain_scalar(text: str) -> str | int | float | bool | None:
    """The value of an unquoted scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if len(text) > _LONGEST:
        return text
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def describe(value: Any, *, secret: bool = False) -> str:
    """`the string 'ten'`, `a list`; of a secret only what kind of value it is."""
    match value:
        case None:
            return "nothing"
        case bool():
            kind, shown = "boolean", str(value).lower()
        case int():
            kind, shown = "integer", _cut(str(value))
        case float():
            kind, shown = "number", str(value)
        case str():
            kind, shown = "string", quoted(value)
        case list():
            return "a list"
        case _:
            return "a mapping"
    if secret:
        return f"an {kind}" if kind == "integer" else f"a {kind}"
    return f"the {kind} {shown}"


def quoted(text: str) -> str:
    """The text in quotes, on one line, cut to a readable length."""
    return repr(_cut(text))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
