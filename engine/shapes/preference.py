"""Preferences: `prompt`, `chosen` and `rejected`, in place of what was found made lists of messages.

TRL knows two forms. Explicit: the sides hold the answer alone. Implicit: each side is a conversation that begins with
the prompt. A side is implicit if its first message isn't the assistant's. Both forms come out explicit, so that prompt
and side together are the conversation and nothing stands twice:

- Text is one message, a single message is a list of one (the prompt the user's, the sides the assistant's).
- The prompt comes from `prompt`; or else from what LLaMA-Factory puts beside the sides: `conversations` or `messages`,
  or Alpaca's `instruction` with its `input`, `system` and `history`.
- Of implicit sides the messages that both begin with are the prompt, but never the last one of a side (TRL's
  `extract_prompt`). If the row names a prompt too, its last message must be among them; otherwise the row is at fault.
- Text sides without any prompt are not this shape: what they begin with can't be told from the answer.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.schema import content_digests
from engine.shapes import alpaca, sharegpt
from engine.shapes._shape import Filled, Problem, Shape, one, replaced, text_fields
from engine.shapes._talk import Talk, alike, joined, single
from engine.shapes._turns import is_turns, prompt_turns, turns

_SIDES = ("chosen", "rejected")


def detect(schema: pa.Schema) -> bool:
    """Both sides as text or messages, and a prompt: beside them, or in sides that are conversations."""
    if not all(is_turns(schema, side) for side in _SIDES):
        return False
    in_sides = all(pa.types.is_list(schema.field(side).type) for side in _SIDES)
    return in_sides or _prompt_column(schema) is not None or "instruction" in text_fields(schema)


def fill(table: pa.Table) -> Filled:
    """`prompt`, `chosen` and `rejected` as lists of messages."""
    named, problems = _named_prompt(table)
    chosen, wrong_chosen = turns(one(table, "chosen"), "chosen", "assistant")
    rejected, wrong_rejected = turns(one(table, "rejected"), "rejected", "assistant")
    named, chosen, rejected = alike([named, chosen, rejected])
    implicit = _begins_with_prompt(chosen) & _begins_with_prompt(rejected)
    shared = _shared(chosen, rejected, implicit)
    columns = {
        "prompt": _prompts(named, chosen, implicit, shared),
        "chosen": _after(chosen, shared),
        "rejected": _after(rejected, shared),
    }
    for name, talk in columns.items():
        table = replaced(table, name, talk.column())
    problems += wrong_chosen + wrong_rejected + _form_problems(named, chosen, rejected, implicit, shared)
    return table, problems


def _prompt_column(schema: pa.Schema) -> str | None:
    names = ("prompt", "conversations", "conversation", "messages")
    return next((name for name in names if is_turns(schema, name)), None)


def _named_prompt(table: pa.Table) -> tuple[Talk, list[Problem]]:
    """The prompt that stands beside the sides. Whether a row that has none is at fault depends on its sides."""
    name = _prompt_column(table.schema)
    if name in ("prompt", "messages"):
        talk, problems = prompt_turns(table, name)
    elif name is not None:
        talk, problems = sharegpt.turns(table)
    elif "instruction" in text_fields(table.schema):
        talk, problems = alpaca.asked(table)
    else:
        return single(pa.nulls(len(table), pa.string()), "user"), []
    return talk, [problem for problem in problems if talk.valid[problem.row]]


def _begins_with_prompt(side: Talk) -> np.ndarray:
    return np.asarray(pc.fill_null(pc.not_equal(side.first("role"), "assistant"), False))


def _shared(chosen: Talk, rejected: Talk, implicit: np.ndarray) -> np.ndarray:
    """How many messages both sides begin with, at least one left to each; 0 for explicit rows."""
    most = np.where(implicit, np.minimum(chosen.lengths, rejected.lengths) - 1, 0)
    left, right = (side.take(side.starts, most, implicit) for side in (chosen, rejected))
    differ = np.flatnonzero([a != b for a, b in zip(_digests(left), _digests(right), strict=True)])
    rows, at = np.unique(left.rows[differ], return_index=True)
    shared = most.copy()
    shared[rows] = differ[at] - left.starts[rows]
    return shared


def _digests(talk: Talk) -> list[str]:
    return content_digests(pa.table(dict(talk.fields)), list(talk.fields))


def _prompts(named: Talk, chosen: Talk, implicit: np.ndarray, shared: np.ndarray) -> Talk:
    """The shared beginning for implicit rows, the named prompt for explicit ones."""
    beside = named.take(named.starts, np.where(implicit, 0, named.lengths), named.valid & ~implicit)
    return joined([beside, chosen.take(chosen.starts, shared, implicit)])


def _after(side: Talk, shared: np.ndarray) -> Talk:
    return side.take(side.starts + shared, side.lengths - shared, side.valid)


def _form_problems(
    named: Talk, chosen: Talk, rejected: Talk, implicit: np.ndarray, shared: np.ndarray
) -> list[Problem]:
    """Rows whose sides and prompt don't make up one of the two forms."""
    whole = (chosen.lengths > 0) & (rejected.lengths > 0)
    faults = {
        ("rejected", "only one side begins with the prompt"): whole
        & (_begins_with_prompt(chosen) != _begins_with_prompt(rejected)),
        ("chosen", "the sides are conversations that have no beginning in common"): implicit & (shared == 0),
        ("prompt", "missing, and the sides hold the answer alone"): whole & ~implicit & ~named.valid,
        ("prompt", "not among the messages that both sides begin with"): implicit
        & (shared > 0)
        & (named.lengths > 0)
        & ~_contained(named, chosen.take(chosen.starts, shared, implicit)),
    }
    return [Problem(int(row), *fault) for fault, rows in faults.items() for row in np.flatnonzero(rows)]


def _contained(named: Talk, beginning: Talk) -> np.ndarray:
    """Whether the named prompt's last message is among those of the beginning."""
    last = pa.array(named.starts + named.lengths - 1, mask=named.lengths == 0).take(pa.array(beginning.rows))
    same = [pc.equal(named.fields[f].take(last), beginning.fields[f]) for f in ("role", "content")]
    hits = np.asarray(pc.fill_null(pc.and_(*same), False))
    return np.bincount(beginning.rows, weights=hits, minlength=len(named.lengths)) > 0


PREFERENCE = Shape(
    "preference",
    "columns chosen and rejected (text or messages), and a prompt beside or inside them",
    detect,
    ("prompt", "chosen", "rejected", "tools"),
    fill,
)
