"""`generate: evol_complexity`: an instruction made harder step by step, and all steps scored beside each other.

Its rows train the scorer behind `score: deita_complexity` (Liu et al., arXiv 2312.15685, section 3.1).
"""

from __future__ import annotations

from typing import Any

from engine.errors import RowError
from engine.operator import Context, Reads, Row, generator
from engine.operators._prompts import fill
from engine.operators.generators._evol import WRITES, EvolParams, asks_with, chain_of, children, gives, rank
from engine.operators.generators._evol_prompts import EVOLVE_INSTRUCTION, HARDER, RANK_INSTRUCTIONS
from engine.operators.scorers._deita import COMPLEXITY
from engine.request import Capability
from engine.schema import TEXT_TYPE


@generator(
    params=EvolParams,
    reads={"instruction": Reads(TEXT_TYPE, default=("instruction", "prompt", "text"))},
    writes={name: kind for name, kind in WRITES.items() if name != "response"},
    needs={Capability.CHAT},
    asks=asks_with(EVOLVE_INSTRUCTION, HARDER, RANK_INSTRUCTIONS),
    gives=gives,
)
async def evol_complexity(row: Row, params: EvolParams, ctx: Context) -> list[dict[str, Any]]:
    """Asks a model for ever harder versions of each instruction, then for a score of each among the others.

    Every version is a row with `prompt` and `completion` as the scorer is trained on them (`train: sft` with the format
    `completion`). Where no ranking could be read, `score` and `completion` are null.

    Raises:
        RowError: the instruction is null or empty, or a rewrite is empty.
    """
    instruction, row_id = row["instruction"], row["row_id"]
    if not instruction:
        raise RowError("the instruction is null or empty")
    evolve, operators = params.evolve or EVOLVE_INSTRUCTION, params.operators or HARDER
    chain = await chain_of(instruction, "instruction", evolve, operators, {}, row_id, params, ctx)
    ranking = await rank(chain, "", params.rank or RANK_INSTRUCTIONS, {}, row_id, params, ctx)
    texts = [{"instruction": v.text, "prompt": fill(COMPLEXITY, {"instruction": v.text})} for v in chain]
    return children(chain, ranking, texts)
