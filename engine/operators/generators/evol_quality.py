"""`generate: evol_quality`: a response made better step by step, and all steps scored beside each other.

Its rows train the scorer behind `score: deita_quality` (Liu et al., arXiv 2312.15685, section 3.2).
"""

from __future__ import annotations

from typing import Any

from engine.errors import RowError
from engine.operator import Context, Reads, Row, generator
from engine.operators._prompts import fill
from engine.operators.generators._evol import WRITES, EvolParams, asks_with, chain_of, children, gives, rank
from engine.operators.generators._evol_prompts import BETTER, EVOLVE_RESPONSE, RANK_RESPONSES
from engine.operators.scorers._deita import QUALITY
from engine.request import Capability
from engine.schema import TEXT_TYPE


@generator(
    params=EvolParams,
    reads={"instruction": Reads(TEXT_TYPE, default=("instruction", "prompt", "text")), "response": Reads(TEXT_TYPE)},
    writes=WRITES,
    needs={Capability.CHAT},
    asks=asks_with(EVOLVE_RESPONSE, BETTER, RANK_RESPONSES),
    gives=gives,
)
async def evol_quality(row: Row, params: EvolParams, ctx: Context) -> list[dict[str, Any]]:
    """Asks a model for ever better versions of each response, then for a score of each among the others.

    Every version is a row with `prompt` and `completion` as the scorer is trained on them (`train: sft` with the format
    `completion`). Where no ranking could be read, `score` and `completion` are null.

    Raises:
        RowError: instruction or response are null or empty, or a rewrite is empty.
    """
    instruction, response, row_id = row["instruction"], row["response"], row["row_id"]
    if not instruction or not response:
        raise RowError(f"the {'response' if instruction else 'instruction'} is null or empty")
    given = {"instruction": instruction}
    evolve, operators = params.evolve or EVOLVE_RESPONSE, params.operators or BETTER
    chain = await chain_of(response, "response", evolve, operators, given, row_id, params, ctx)
    ranking = await rank(chain, "Response ", params.rank or RANK_RESPONSES, given, row_id, params, ctx)
    pairs = [{**given, "response": variant.text} for variant in chain]
    return children(chain, ranking, [{**pair, "prompt": fill(QUALITY, pair)} for pair in pairs])
