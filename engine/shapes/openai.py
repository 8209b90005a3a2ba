"""OpenAI: `messages` of `{role, content}`, with tool calls, names and whatever fields were found beside them.

`messages` is brought to its canonical form in place: role and content first, a content of one text part as that text,
`tool_calls` as `_tools` says, fields that are null throughout left out. Without such fields it is exactly
`engine.schema.MESSAGES`.
"""

from __future__ import annotations

import pyarrow as pa

from engine.shapes._shape import Filled, Shape, add, one, replaced
from engine.shapes._talk import first_user, last_assistant
from engine.shapes._turns import LAYOUTS, OPENAI_ROLES, conversation, layout


def detect(schema: pa.Schema) -> bool:
    """A column `messages` of `{role, content}`."""
    return "messages" in schema.names and layout(schema.field("messages").type) == LAYOUTS[0]


def fill(table: pa.Table) -> Filled:
    """`messages` in canonical form; adds `instruction` and `response`."""
    talk, problems = conversation(one(table, "messages"), "messages", OPENAI_ROLES)
    filled = replaced(table, "messages", talk.column())
    return add(filled, {"instruction": first_user(talk), "response": last_assistant(talk)}), problems


OPENAI = Shape("openai", "a column messages of {role, content}", detect, ("messages", "tools"), fill)
