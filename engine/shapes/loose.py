"""Values that have no fixed type in JSON, brought to one before Arrow types them.

Tool schemas and call arguments are objects with other keys in every record; OpenAI allows text or a list of parts as a
message's content. Arrow would make one wide struct with nulls of the first, and call the second a conflict. So, in the
JSON formats and unless `shape: raw` is asked for:

- `tools` and `functions` that are lists or objects become JSON text; so do the `arguments` of calls.
- a content that is exactly one part of type text becomes that text. Several parts stay a list: joining them would lose
  where one ends.

Columns that the spec names in `as_json` become JSON text too: text stays as it is, null stays null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from engine.schema import is_list, is_text

_JSON_TEXT = ("tools", "functions")
_TALKS = ("messages", "conversations", "conversation", "prompt", "completion", "chosen", "rejected")


@dataclass(frozen=True)
class Loose:
    """The rules above; `shaped` is False for `shape: raw`, where only `as_json` counts."""

    as_json: Collection[str] = ()
    shaped: bool = True

    def concerns(self, schema: pa.Schema) -> bool:
        """Whether a block with these types may hold a value that would be changed."""
        types = {field.name: field.type for field in schema}
        named = (types[name] for name in self.as_json if name in types)
        if any(not (is_text(kind) or pa.types.is_null(kind)) for kind in named):
            return True
        return self.shaped and (
            any(pa.types.is_nested(types[name]) for name in _JSON_TEXT if name in types)
            or any(_is_loose_talk(types[name]) for name in _TALKS if name in types)
        )

    def apply(self, record: dict[str, Any]) -> bool:
        """Change a record in place; whether anything was changed."""
        changed = [_to_text(record, name) for name in self.as_json if not isinstance(record.get(name), str)]
        if self.shaped:
            changed += [_to_text(record, name) for name in _JSON_TEXT if isinstance(record.get(name), dict | list)]
            changed += [_settle(message) for message in _messages(record)]
        return any(changed)


def _is_loose_talk(kind: pa.DataType) -> bool:
    message = kind.value_type if is_list(kind) else kind
    if not pa.types.is_struct(message):
        return False
    types = {field.name: field.type for field in message}
    return pa.types.is_nested(types.get("content", pa.null())) or any(
        pa.types.is_nested(kind) for kind in _argument_types(types)
    )


def _argument_types(types: dict[str, pa.DataType]) -> Iterator[pa.DataType]:
    calls = types.get("tool_calls", pa.null())
    functions = [types.get("function_call", pa.null())]
    if is_list(calls) and pa.types.is_struct(calls.value_type):
        functions += [field.type for field in calls.value_type if field.name == "function"]
    for function in functions:
        if pa.types.is_struct(function):
            yield from (field.type for field in function if field.name == "arguments")


def _messages(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name in _TALKS:
        talk = record.get(name)
        turns = talk if isinstance(talk, list) else [talk]
        yield from (turn for turn in turns if isinstance(turn, dict))


def _settle(message: dict[str, Any]) -> bool:
    changed = _settle_content(message)
    calls = message.get("tool_calls")
    functions = [call.get("function") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    for function in [*functions, message.get("function_call")]:
        if isinstance(function, dict) and isinstance(function.get("arguments"), dict | list):
            changed |= _to_text(function, "arguments")
    return changed


def _settle_content(message: dict[str, Any]) -> bool:
    match message.get("content"):
        case [{"type": "text", "text": str(text), **rest}] if all(value is None for value in rest.values()):
            message["content"] = text
            return True
    return False


def _to_text(holder: dict[str, Any], key: str) -> bool:
    """Replace a value that is not null by its JSON text."""
    if holder.get(key) is None:
        return False
    try:
        holder[key] = json.dumps(holder[key], ensure_ascii=False, allow_nan=False)
    except ValueError:
        holder[key] = math.nan  # there is a NaN in it: the reader names the field
    return True
