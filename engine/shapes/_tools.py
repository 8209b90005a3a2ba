"""Tool calls in their canonical form: `list<struct<id, type, function: struct<name, arguments>>>`, arguments as text.

Arguments differ from call to call, so a typed column can't hold them; as JSON text they keep their form.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.schema import is_text
from engine.shapes._shape import Problem, message_fields
from engine.shapes._talk import Talk, lists, talk_of

FUNCTION = pa.struct([("name", pa.string()), ("arguments", pa.string())])
CALL = pa.struct([("id", pa.string()), ("type", pa.string()), ("function", FUNCTION)])
CALLS = pa.list_(CALL)


def canonical_calls(calls: pa.Array) -> pa.Array:
    """The `tool_calls` of messages with the fields of `CALLS` first, further ones after them.

    A column that isn't made of calls (`function: {name, ...}`) stays as found.
    """
    function = message_fields(calls.type).get("function")
    if function is None or not pa.types.is_struct(function) or function.get_field_index("name") < 0:
        return calls
    talk = talk_of(calls)
    inner = dict(zip((f.name for f in function), talk.fields["function"].flatten(), strict=True))
    if "arguments" in inner and not is_text(inner["arguments"].type):
        inner["arguments"] = _as_text(inner["arguments"])
    functions = pa.StructArray.from_arrays(list(inner.values()), list(inner), mask=talk.fields["function"].is_null())
    talk = talk.with_fields(function=functions.cast(_with_first(FUNCTION, functions.type)))
    column = talk.column()
    return column.cast(pa.list_(_with_first(CALL, column.type.value_type)))


def parsed_calls(talk: Talk, calling: np.ndarray, column: str, field: str) -> tuple[Talk, list[Problem]]:
    """ShareGPT's calls, whose content is the JSON text of a call or a list of calls, as assistant messages.

    Args:
        talk: conversations with `role` and `content`.
        calling: bool, for each message whether it is such a call.
        column: the conversations' column, for messages.
        field: the content's field in it.

    Returns:
        The conversations with `tool_calls`; a call's content is null. Other messages are as they were.
    """
    at = np.flatnonzero(calling)
    texts = talk.fields["content"].take(pa.array(at)).to_pylist()
    parsed = [_parse(text) for text in texts]  # there is nothing vectorised that reads JSON text of any form
    wrong, sizes = np.zeros(len(calling), bool), np.zeros(len(calling), np.int64)
    wrong[at] = [calls is None for calls in parsed]
    sizes[at] = [len(calls or ()) for calls in parsed]
    values = pa.array([call for calls in parsed for call in calls or ()], CALL)
    known = talk.fields.get("tool_calls", pa.nulls(len(calling), CALLS))
    mask = pa.array(calling)
    filled = talk.with_fields(
        role=pc.if_else(mask, "assistant", talk.fields["role"]),
        content=pc.if_else(mask, pa.scalar(None, pa.string()), talk.fields["content"]),
        tool_calls=pc.if_else(mask, lists(values, sizes, calling).cast(known.type), known),
    )
    reason = "not the JSON text of a call with a name, or of a list of calls"
    return filled, talk.problems(pa.array(wrong), column, field, reason)


def _parse(text: str | None) -> list[dict[str, Any]] | None:
    """The calls that a JSON text holds, or None if it holds anything else."""
    try:
        found = json.loads(text or "")
        calls = [_call(call) for call in (found if isinstance(found, list) else [found])]
        json.dumps(calls, ensure_ascii=False).encode()  # a lone surrogate has no UTF-8
    except (ValueError, RecursionError):
        return None
    return calls or None


def _call(found: Any) -> dict[str, Any]:
    match found:
        case {"name": str(name)} if isinstance(found.get("id"), str | None):
            arguments = found.get("arguments")
            if not isinstance(arguments, str | None):
                arguments = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
            return {"id": found.get("id"), "type": "function", "function": {"name": name, "arguments": arguments}}
    raise ValueError("not a call")


def _as_text(values: pa.Array) -> pa.Array:
    """Typed arguments as JSON text. A null field is left out: Arrow has it where other calls have that argument."""
    dumped = [
        None if value is None else json.dumps(_without_nulls(value), ensure_ascii=False) for value in values.to_pylist()
    ]
    return pa.array(dumped, pa.string())


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _with_first(first: pa.DataType, kind: pa.DataType) -> pa.DataType:
    """The fields of `first`, then those that `kind` has besides; a field of both has the type that it has in `kind`."""
    found = {field.name: field.type for field in kind if not pa.types.is_null(field.type)}
    leading = {field.name: found.get(field.name, field.type) for field in first}
    return pa.struct(list({**leading, **{f.name: f.type for f in kind if f.name not in leading}}.items()))
