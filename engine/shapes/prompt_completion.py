"""Prompt and completion, each text or messages (TRL); `label` for binary feedback is kept as any column is.

A text is one message: the prompt the user's, the completion the assistant's; before a prompt
that is text stands the text of a column `system`, where there is one. The columns stay as found.
"""

from __future__ import annotations

import pyarrow as pa

from engine.shapes._shape import Filled, Shape, add, one
from engine.shapes._talk import first_user, joined, last_assistant
from engine.shapes._turns import is_turns, prompt_turns, turns


def detect(schema: pa.Schema) -> bool:
    """Columns `prompt` and `completion`, each text or messages."""
    return is_turns(schema, "prompt") and is_turns(schema, "completion")


def fill(table: pa.Table) -> Filled:
    """Adds `messages`, `instruction` and `response`."""
    prompt, wrong = prompt_turns(table, "prompt")
    completion, also_wrong = turns(one(table, "completion"), "completion", "assistant")
    talk = joined([prompt, completion])
    columns = {"messages": talk.column(), "instruction": first_user(talk), "response": last_assistant(talk)}
    return add(table, columns), wrong + also_wrong


PROMPT_COMPLETION = Shape(
    "prompt_completion", "columns prompt and completion, each text or messages", detect, ("messages", "tools"), fill
)
