"""ShareGPT: `conversations` (or `conversation`), a list of `{from, value}` or `{role, content}`; `system`, `tools`.

Roles: human or user; gpt or assistant; system; observation or tool for what a tool answered; function_call or tool_call
for a call. In a table with a column `tools` a call's JSON text becomes `tool_calls`. Without one there is no protocol
of tools to speak of, and a call is what the assistant said: its text as found.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.shapes._shape import Filled, Problem, Shape, add, one
from engine.shapes._talk import Talk, first_user, joined, last_assistant
from engine.shapes._tools import parsed_calls
from engine.shapes._turns import CALL, SHAREGPT_ROLES, conversation, layout, system_turn

_COLUMNS = ("conversations", "conversation")


def talk_column(schema: pa.Schema) -> str | None:
    """The column of conversations, if there is one."""
    return next((n for n in _COLUMNS if n in schema.names and layout(schema.field(n).type)), None)


def detect(schema: pa.Schema) -> bool:
    """A column `conversations` or `conversation` of messages."""
    return talk_column(schema) is not None


def fill(table: pa.Table) -> Filled:
    """Adds `messages`, `instruction` and `response`."""
    talk, problems = turns(table)
    columns = {"messages": talk.column(), "instruction": first_user(talk), "response": last_assistant(talk)}
    return add(table, columns), problems


def turns(table: pa.Table) -> tuple[Talk, list[Problem]]:
    """The conversations in canonical form, the `system` column's message first."""
    name = talk_column(table.schema)
    assert name is not None, "the table has no conversations"
    column = one(table, name)
    talk, problems = conversation(column, name, SHAREGPT_ROLES)
    calling = np.asarray(pc.fill_null(pc.equal(talk.fields["role"], CALL), False))
    if "tools" in table.column_names:
        text_field = (layout(column.type) or ("", ""))[1]
        talk, more = parsed_calls(talk, calling, name, text_field)
        problems += more
    else:
        talk = talk.with_fields(role=pc.if_else(pa.array(calling), "assistant", talk.fields["role"]))
    return _with_system(talk, system_turn(table), problems)


def _with_system(talk: Talk, system: Talk, problems: list[Problem]) -> tuple[Talk, list[Problem]]:
    """The column's message goes before the conversation; one that begins with the same message has it already."""
    if not system.valid.any():
        return talk, problems
    has_one = np.asarray(pc.fill_null(pc.equal(talk.first("role"), "system"), False))
    differs = np.asarray(pc.fill_null(pc.not_equal(talk.first("content"), system.first("content")), False)) & has_one
    reason = "differs from the system message that the conversation begins with"
    faults = [Problem(int(row), "system", reason) for row in np.flatnonzero(differs)]
    new = system.valid & ~has_one
    return joined([system.take(system.starts, new.astype(np.int64), new), talk]), [*problems, *faults]


SHAREGPT = Shape(
    "sharegpt", "a column conversations of {from, value} or {role, content}", detect, ("messages", "tools"), fill
)
