"""`generate: i_sheep`: new instructions from a few seeds, by a model that goes on with a list of tasks.

The first step of an iteration of I-SHEEP (Liang et al., arXiv 2408.08072, section 3.1, after Self-Instruct and Alpaca).
The list is written and read in `_i_sheep_tasks`. What resembles a seed or another row is `select: novelty`'s business.
"""

from __future__ import annotations

from typing import Annotated, Any

import pyarrow as pa
from pydantic import Field

from engine.errors import RowError, SetwrightError
from engine.needs import Asks, Reads, Side, tokens_in
from engine.operator import Context, Params, Row, generator
from engine.operators._i_sheep import AskParams, complete, roles
from engine.operators._prompts import Template, fill, shipped
from engine.operators.generators._i_sheep_tasks import begins_a_block, demonstrations, folded, opening, read_tasks
from engine.schema import TEXT_TYPE

WRITES = {
    "instruction": pa.string(),  # null where the block can't be read
    "input": pa.string(),  # empty where the task needs none
    "prompt_filter": pa.string(),  # the rule that the block fails; null for a good one
    "block": pa.int32(),  # its number in the reply, from 0
    "raw": pa.string(),  # the block as the model wrote it
    "prompt_seed_ids": pa.list_(pa.int32()),  # the demonstrations' positions in the table of seeds
}
SEED_TOKENS = (8, 250)  # of a demonstration with its labels, for the plan: a seed is not seen before


class ISheepPrompts(Params):
    """The text that stands before the demonstrations."""

    tasks: Annotated[str, Template("demonstrations")] = shipped("i_sheep/tasks")


class ISheepParams(AskParams):
    """`rows` model calls, each with `demonstrations` seeds; up to eleven tasks come of a call.

    A reply is cut at the bare text `stop`, which caps the list at 16 tasks and any text that holds "17" as well; null
    for no such end.
    """

    rows: int = Field(1500, ge=1)
    demonstrations: int = Field(5, ge=1)
    stop: str | None = Field("17", min_length=1)
    prompts: ISheepPrompts = ISheepPrompts()


def _asks(params: ISheepParams) -> list[Asks]:
    few, many = tokens_in(params.prompts.tasks)
    seeds = [params.demonstrations * tokens for tokens in SEED_TOKENS]
    return [Asks((1, 1), prompt=(few + seeds[0], many + seeds[1]), reply=(1, params.max_tokens))]


@generator(
    params=ISheepParams,
    reads={},
    writes=WRITES,
    roles=roles,
    sides={"seeds": Side({"instruction": Reads(TEXT_TYPE), "input": Reads(TEXT_TYPE, optional=True)})},
    asks=_asks,
    roots=lambda params: params.rows,
    gives=lambda params, rows: (rows, rows * params.max_tokens),  # a block takes a token at least
)
async def i_sheep(row: Row, params: ISheepParams, ctx: Context) -> list[dict[str, Any]]:
    """Shows a model a few seeds as the beginning of a list of tasks; each block that it goes on with is a row.

    Blocks that break the format or fail one of the rules for prompts stay, with the rule's name in `prompt_filter`, so
    that they can be counted; the last block of a reply, most likely cut, is one of them. Seeds are drawn from all rows
    that have an instruction, none twice for a prompt, not even where the table repeats it.

    Raises:
        RowError: the reply is empty.
        SetwrightError: there are fewer different seeds than demonstrations.
    """
    chosen = _draw_seeds(row, params, ctx)
    seeds = [ctx.sides["seeds"].rows[i] for i in chosen]
    prompt = fill(params.prompts.tasks, {"demonstrations": demonstrations(seeds)})
    stop = [params.stop] if params.stop else []
    answer = await complete(ctx, prompt, ctx.draw(row["row_id"], 1), params, *stop)
    reply = answer.text or ""
    if not reply.strip():
        raise RowError("the model wrote no task: its reply is empty")
    said = params.form == "chat" and begins_a_block(reply)
    text = reply if said else f"{opening(params.demonstrations)} {reply}"
    return [
        {
            "instruction": task.instruction, "input": task.input, "prompt_filter": task.filter, "block": task.block,
            "raw": task.raw, "prompt_seed_ids": chosen,
        }
        for task in read_tasks(text)
    ]  # fmt: skip


def _draw_seeds(row: Row, params: ISheepParams, ctx: Context) -> list[int]:
    """The positions of different seeds, in the order of the demonstrations."""
    seeds = ctx.sides["seeds"].rows
    drawn: dict[tuple[str, str], int] = {}
    for position in ctx.rng(row["row_id"]).permutation(len(seeds)).tolist():
        instruction, given = (folded(seeds[position].get(name) or "") for name in ("instruction", "input"))
        if instruction:
            drawn.setdefault((instruction, given), position)
        if len(drawn) == params.demonstrations:
            return list(drawn.values())
    raise SetwrightError(
        f"generate: i_sheep: seeds holds {len(drawn)} different instructions in {len(seeds)} rows, and a prompt shows "
        f"{params.demonstrations}",
        cure="give more seeds, or set `demonstrations` to what there is",
    )
