"""Conversations as data sets write them, to the canonical form: role and content first, then what else was found.

Two layouts are known, `{from, value}` (ShareGPT) and `{role, content}` (OpenAI). Faults are named by row and field.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.schema import is_list, is_text
from engine.shapes._shape import Problem, message_fields, null_rows, one, text_fields
from engine.shapes._talk import Talk, joined, lists, single, talk_of
from engine.shapes._tools import canonical_calls

LAYOUTS = (("role", "content"), ("from", "value"))

OPENAI_ROLES = {role: role for role in ("system", "developer", "user", "assistant", "tool", "function")}
"""`function` is the older name for what a tool answered."""

CALL = "function_call"
"""The role of a ShareGPT turn in which the assistant calls a tool; never a role of canonical messages."""

SHAREGPT_ROLES = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "assistant", "chatgpt", "model"), "assistant"),
    **dict.fromkeys(("function_call", "tool_call"), CALL),
    **dict.fromkeys(("observation", "tool", "tool_response", "function_response"), "tool"),
    "system": "system",
}

ANY_ROLES = {**OPENAI_ROLES, **{name: role for name, role in SHAREGPT_ROLES.items() if role != CALL}}
"""For prompts and answers, which come in either layout."""


def layout(kind: pa.DataType) -> tuple[str, str] | None:
    """The names of the role and the content in a conversation column; None if it is not one."""
    fields = message_fields(kind)
    return next((pair for pair in LAYOUTS if _is_role(fields.get(pair[0])) and _is_content(fields.get(pair[1]))), None)


def conversation(column: pa.Array, name: str, roles: Mapping[str, str]) -> tuple[Talk, list[Problem]]:
    """A conversation column in canonical form, and the rows at fault.

    A row must have a conversation of at least one message, each with a known role and a content; a message that calls
    a tool may have none. Fields that are null throughout are left out.
    """
    names = layout(column.type)
    assert names is not None, f"{name} is not a column of conversations"
    talk = talk_of(column)
    role, roles_wrong = _mapped(talk.fields[names[0]], roles)
    content, parts_wrong = _text_of(talk.fields[names[1]])
    rest = {n: v for n, v in talk.fields.items() if n not in names and not pa.types.is_null(v.type)}
    if "tool_calls" in rest:
        rest["tool_calls"] = canonical_calls(rest["tool_calls"])
    canonical = Talk({"role": role, "content": content, **rest}, talk.lengths, talk.valid)
    silent = pc.and_(talk.fields[names[1]].is_null(), pc.invert(_calls(rest, len(content))))
    expected = f"unknown role (known: {', '.join(roles)})"
    return canonical, [
        *_absent(column, name),
        *talk.problems(roles_wrong, name, names[0], expected),
        *talk.problems(parts_wrong, name, names[1], "parts that are not one text (a single part of type text is)"),
        *talk.problems(silent, name, names[1], "null, in a message that calls no tool"),
    ]


def is_turns(schema: pa.Schema, name: str) -> bool:
    """Whether there is a column of this name that is text, one message, or messages."""
    kind = schema.field(name).type if name in schema.names else pa.null()
    return is_text(kind) or layout(kind) is not None or layout(pa.list_(kind)) is not None


def turns(column: pa.Array, name: str, role: str) -> tuple[Talk, list[Problem]]:
    """A column of text (one message of this role), of single messages, or of conversations, in canonical form."""
    if is_text(column.type):
        return single(column, role), null_rows(column, name)
    if pa.types.is_struct(column.type):
        valid = np.asarray(column.is_valid())
        column = lists(column.drop_null(), valid.astype(np.int64), valid)
    return conversation(column, name, ANY_ROLES)


def prompt_turns(table: pa.Table, name: str) -> tuple[Talk, list[Problem]]:
    """A column with prompts; a prompt that is text has the text of a column `system` before it, where there is one."""
    column = one(table, name)
    talk, problems = turns(column, name, "user")
    return (joined([system_turn(table), talk]) if is_text(column.type) else talk), problems


def system_turn(table: pa.Table) -> Talk:
    """A text column `system` as one message a row; null and empty count as none."""
    if "system" not in text_fields(table.schema):
        return single(pa.nulls(len(table), pa.string()), "system")
    text = one(table, "system")
    return single(pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text), "system")


def _absent(column: pa.Array, name: str) -> list[Problem]:
    empty = np.flatnonzero(np.asarray(pc.fill_null(pc.equal(pc.list_value_length(column), 0), False)))
    return null_rows(column, name) + [Problem(int(i), name, "a conversation without messages") for i in empty]


def _mapped(role: pa.Array, roles: Mapping[str, str]) -> tuple[pa.Array, pa.Array]:
    index = pc.index_in(role, value_set=pa.array(list(roles), pa.string()))
    return pa.array(list(roles.values()), pa.string()).take(index), index.is_null()


def _is_role(kind: pa.DataType | None) -> bool:
    return kind is not None and is_text(kind)


def _is_content(kind: pa.DataType | None) -> bool:
    return kind is not None and (is_text(kind) or _are_parts(kind))


def _are_parts(kind: pa.DataType) -> bool:
    fields = message_fields(kind)
    return _is_role(fields.get("type")) and _is_role(fields.get("text"))


def _text_of(content: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The text of each content, and where there is no single one. A list of parts has a text if it is one text part."""
    if is_text(content.type):
        return content, pa.array(np.zeros(len(content), bool))
    parts = talk_of(content)
    plain = pc.and_(pa.array(parts.lengths == 1), pc.fill_null(pc.equal(parts.first("type"), "text"), False))
    for name in parts.fields:
        if name not in ("type", "text"):
            plain = pc.and_(plain, parts.first(name).is_null())
    text = pc.if_else(plain, parts.first("text"), pa.scalar(None, pa.string()))
    return text, pc.and_(content.is_valid(), pc.invert(plain))


def _calls(fields: Mapping[str, pa.Array], size: int) -> pa.Array:
    """Whether each message calls a tool, in today's form (`tool_calls`) or the older one (`function_call`)."""
    calling = pa.array(np.zeros(size, bool))
    for values in (fields[name] for name in ("tool_calls", "function_call") if name in fields):
        given = pc.greater(pc.list_value_length(values), 0) if is_list(values.type) else values.is_valid()
        calling = pc.or_(calling, pc.fill_null(given, False))
    return calling
