"""`generate: ultraprompt`: instructions rewritten by named principles, in a tree that is searched for the best answers.

P-Aligner's search (Song et al., arXiv 2508.04626; settings of the published code). The rows are the trees themselves,
one for each node; pairs and steps that train a rewriter are SQL over them. The search is in `_ultraprompt_search`,
its rules in `_ultraprompt_tree`, parameters and prompts in `_ultraprompt_params`.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from engine.errors import RowError
from engine.operator import Context, Reads, Row, generator
from engine.operators.generators._ultraprompt_params import UltrapromptParams, asks, gives, roles
from engine.operators.generators._ultraprompt_principles import active
from engine.operators.generators._ultraprompt_search import Search
from engine.operators.generators._ultraprompt_tree import Node
from engine.schema import PROMPT_TYPE, TEXT_TYPE

WRITES = {
    "node_id": pa.string(),
    "node_parent": pa.string(),  # null for the root
    "meta": pa.string(),  # the tree's key
    "category": pa.string(),
    "index": pa.int32(),  # the order of making, 0 for the root
    "depth": pa.int32(),
    "action": pa.string(),  # the principle's name; root for the root
    "principle": pa.string(),  # its sentence; null for the root
    "actions": pa.list_(pa.string()),  # from the root to this node
    "instruction": pa.string(),
    "raw_instruction": pa.string(),
    "duplicate": pa.bool_(),  # the tree held this text before
    "visits": pa.int32(),
    "local_avg_reward": pa.float64(),  # the mean of the local rewards
    "backed_up_reward": pa.float64(),  # the best of this node and all below it
    "local_responses": pa.list_(pa.string()),
    "local_rewards": pa.list_(pa.float64()),
    "next_iter": pa.int32(),  # of the tree, as all that follow: iterations done
    "max_iter": pa.int32(),
    "is_success": pa.bool_(),  # all iterations are done, and the root has its reward
    "failures": pa.list_(pa.struct([("iteration", pa.int32()), ("reason", pa.string())])),  # null iteration: the root
}


@generator(
    params=UltrapromptParams,
    reads={
        "instruction": Reads(PROMPT_TYPE, default=("instruction", "messages", "context", "prompt", "text")),
        "category": Reads(TEXT_TYPE, optional=True),
        "meta": Reads(TEXT_TYPE, optional=True),
    },
    writes=WRITES,
    roles=roles,
    asks=asks,
    gives=gives,
)
async def ultraprompt(row: Row, params: UltrapromptParams, ctx: Context) -> list[dict[str, Any]]:
    """Searches for rewrites of an instruction that trigger better answers, and writes the tree, a row for each node.

    An instruction is a text or the first user turn of a conversation. Its category chooses the principles. Rewrites
    are judged by the rewards of answers to them, and an answer is always rewarded as one to the raw instruction. What
    fails on the way stands in `failures`; a tree that ends before its last iteration has `is_success` false.

    Raises:
        RowError: there is no instruction.
        ModelError: a model gave up, with `on_failure: fail`; the next build asks only what was not answered.
    """
    raw, category = instruction_of(row["instruction"]), row.get("category")
    search = Search(row["row_id"], raw, active(category, params.principles, params.general), params, ctx)
    await search.run()
    tree = {
        "meta": row.get("meta") or row["row_id"],
        "category": category,
        "raw_instruction": raw,
        "next_iter": search.next_iter,
        "max_iter": params.iterations,
        "is_success": search.is_success,
        "failures": search.failures,
    }
    return [{**tree, **_columns(node, row["row_id"])} for node in search.tree.nodes]


def instruction_of(prompt: str | list[dict[str, Any]] | None) -> str:
    """The text, or the first user turn of a conversation.

    Raises:
        RowError: it is null or empty, or there is none.
    """
    if isinstance(prompt, str):
        text: str | None = prompt
    else:
        text = next((turn["content"] for turn in prompt or [] if turn["role"] == "user"), None)
    if not (text or "").strip():
        raise RowError("there is no instruction to rewrite: it is null, empty, or no user's turn")
    return text or ""


def _columns(node: Node, row_id: str) -> dict[str, Any]:
    trial, rewrite = node.trial, node.rewrite
    return {
        "node_id": f"{row_id}/{node.index}",
        "node_parent": None if node.parent is None else f"{row_id}/{node.parent.index}",
        "index": node.index,
        "depth": len(node.actions),
        "action": rewrite.action,
        "principle": rewrite.principle,
        "actions": node.actions,
        "instruction": rewrite.instruction,
        "duplicate": node.duplicate,
        "visits": node.visits,
        "local_avg_reward": None if trial is None else trial.mean,
        "backed_up_reward": node.value,
        "local_responses": None if trial is None else list(trial.responses),
        "local_rewards": None if trial is None else list(trial.rewards),
    }
