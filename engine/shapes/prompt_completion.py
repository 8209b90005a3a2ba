"""Prompt and completion, each text or messages (TRL); `label` for binary feedback is kept as any column is.

A text is one message: the prompt the user's, the completion the assistant's. Both columns stay as found.
"""

from __future__ import annotations

import pyarrow as pa

from engine.schema import is_text
from engine.shapes._shape import Filled, Problem, Shape, Talk, add, first_user, joined, last_assistant, null_rows, one, single
from engine.shapes._turns import OPENAI_ROLES, conversation, layout


def is_turns(schema: pa.Schema, name: str) -> bool:
    """Whether there is a column of this name that is text or messages."""
    return name in schema.names and (is_text(schema.field(name).type) or layout(schema.field(name).type) is not None)


def turns(table: pa.Table, name: str, role: str) -> tuple[Talk, list[Problem]]:
    """A column of messages, or of text as one message of this role."""
    column = one(table, name)
    if is_text(column.type):
        return single(column, role), null_rows(column, name)
    return conversation(column, name, OPENAI_ROLES)


def detect(schema: pa.Schema) -> bool:
    """Columns `prompt` and `completion`, each text or messages."""
    return is_turns(schema, "prompt") and is_turns(schema, "completion")


def fill(table: pa.Table) -> Filled:
    """Adds `messages`, `instruction` and `response`."""
    prompt, wrong = turns(table, "prompt", "user")
    completion, also_wrong = turns(table, "completion", "assistant")
    talk = joined([prompt, completion])
    columns = {"messages": talk.column(), "instruction": first_user(talk), "response": last_assistant(talk)}
    return add(table, columns), wrong + also_wrong


PROMPT_COMPLETION = Shape(
    "prompt_completion", "columns prompt and completion, each text or messages", detect, ("messages", "tools"), fill
)
