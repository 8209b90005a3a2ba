"""`generate: codeclm_mix`: the metadata of seeds, enlarged by mixing their use cases and skills.

CodecLM (Wang et al., arXiv 2404.05875, section 4 and appendix). How many skills a mixed pair has is not said there:
here each number up to `max_skills` is as likely as the others. Pairs that make no sense were removed by hand there;
here that is `score: metadata_plausibility` and a filter.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from math import comb
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field

from engine.errors import RowError
from engine.needs import Side
from engine.operator import Context, Params, Row, generator
from engine.operators._codeclm import METADATA
from engine.schema import digest


class CodecLMMixParams(Params):
    """How many pairs in all, those of the seeds among them, and how many skills a mixed one has at most."""

    pairs: int = Field(200, ge=1)
    max_skills: int = Field(3, ge=1)


class Pair(NamedTuple):
    """A use case and skills; the origin is `seed` or `mixed`."""

    use_case: str
    skills: tuple[str, ...]
    origin: str

    @property
    def key(self) -> tuple[str, ...]:
        """What tells pairs apart: neither the case of letters nor the order of the skills."""
        return (self.use_case.casefold(), *sorted({skill.casefold() for skill in self.skills}))


@generator(
    params=CodecLMMixParams,
    reads={},
    writes={
        "metadata_id": pa.string(),  # of the pair: the same in every table that has it
        "use_case": pa.string(),
        "skills": pa.list_(pa.string()),
        "origin": pa.string(),  # seed or mixed
    },
    sides={"pool": Side(METADATA)},
    roots=lambda _params: 1,
    gives=lambda params, rows: (rows * params.pairs, rows * params.pairs),
)
async def codeclm_mix(row: Row, params: CodecLMMixParams, ctx: Context) -> list[dict[str, Any]]:
    """Gives distinct pairs of a use case and skills: first those of the pool itself, then mixed ones.

    A mixed pair has one use case of all, and skills out of the union of all. Of a pool with more than `pairs` pairs of
    its own, a random choice is taken. Rows of the pool without a use case or skills are passed over. The pairs make one
    seeded sequence: more `pairs` of the same pool leave those before them as they are.

    Raises:
        RowError: the pool does not give so many distinct pairs.
    """
    given = ((seed["use_case"], tuple(filter(None, seed["skills"] or ()))) for seed in ctx.sides["pool"].rows)
    pool = {(use_case, skills) for use_case, skills in given if use_case and skills}
    pairs = mix(pool, params, ctx.rng(row["row_id"]))
    if len(pairs) < params.pairs:
        raise RowError(
            f"the pool can give {len(pairs)} distinct pairs, and `pairs` asks for {params.pairs}",
            cure="give it more seeds, or ask for fewer pairs",
        )
    return [
        {
            "metadata_id": digest(*pair.key),
            "use_case": pair.use_case,
            "skills": list(pair.skills),
            "origin": pair.origin,
        }
        for pair in pairs
    ]


def mix(pool: Iterable[tuple[str, tuple[str, ...]]], params: CodecLMMixParams, rng: np.random.Generator) -> list[Pair]:
    """Distinct pairs, `params.pairs` of them or as many as there are.

    Args:
        pool: use cases with their skills; in which order they come makes no difference.
        params: the operator's.
        rng: draws the choice of seeds, and the mixed pairs.
    """
    seeds = {pair.key: pair for pair in (Pair(*own, "seed") for own in sorted(pool))}
    own = [list(seeds.values())[i] for i in rng.permutation(len(seeds))]
    pairs = {pair.key: pair for pair in islice(own, params.pairs)}
    use_cases = list({pair.use_case.casefold(): pair.use_case for pair in seeds.values()}.values())
    skills = list({skill.casefold(): skill for pair in seeds.values() for skill in pair.skills}.values())
    most = min(params.max_skills, len(skills))
    possible = len(use_cases) * sum(comb(len(skills), n) for n in range(1, most + 1))
    possible += sum(len(key) - 1 > most for key in pairs)  # seeds with more skills than a mixed pair has
    while len(pairs) < min(params.pairs, possible):
        use_case = use_cases[rng.integers(len(use_cases))]
        chosen = rng.choice(len(skills), rng.integers(1, most + 1), replace=False)
        mixed = Pair(use_case, tuple(skills[i] for i in chosen), "mixed")
        pairs.setdefault(mixed.key, mixed)
    return list(pairs.values())
