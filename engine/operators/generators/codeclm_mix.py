"""`generate: codeclm_mix`: the metadata of seeds, enlarged by mixing their use cases and skills.

CodecLM (Wang et al., arXiv 2404.05875, section 4 and appendix). How many skills a mixed pair has is not said there:
here each number up to `max_skills` is as likely as the others. Pairs that make no sense were removed by hand there;
here that is `score: metadata_plausibility` and a filter.
"""

from __future__ import annotations

from functools import lru_cache
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
from engine.schema import child_row_id, digest

NAME = "codeclm_mix"


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
    roots=lambda params: params.pairs,
)
async def codeclm_mix(row: Row, params: CodecLMMixParams, ctx: Context) -> list[dict[str, Any]]:
    """Gives distinct pairs of a use case and skills: first those of the pool itself, then mixed ones.

    A mixed pair has one use case of all, and skills out of the union of all. Of a pool with more than `pairs` pairs of
    its own, a random choice is taken. Rows of the pool without a use case or skills are passed over.

    Raises:
        RowError: the pool does not give so many distinct pairs.
    """
    given = ((seed["use_case"], tuple(filter(None, seed["skills"] or ()))) for seed in ctx.sides["pool"].rows)
    pool = frozenset((use_case, skills) for use_case, skills in given if use_case and skills)
    pairs = pairs_of(pool, params, ctx.draw(NAME))
    number = _numbers(params.pairs)[row["row_id"]]
    if number >= len(pairs):
        raise RowError(
            f"the pool gives {len(pairs)} distinct pairs, and this would be the {number + 1}th",
            cure="give it more seeds, or ask for fewer `pairs`",
        )
    pair = pairs[number]
    found = {"use_case": pair.use_case, "skills": list(pair.skills), "origin": pair.origin}
    return [{"metadata_id": digest(*pair.key), **found}]


@lru_cache(maxsize=8)  # every row of a table asks for the same sequence
def pairs_of(pool: frozenset[tuple[str, tuple[str, ...]]], params: CodecLMMixParams, draw: int) -> tuple[Pair, ...]:
    """The one sequence of distinct pairs that a table's rows share, as long as `pairs` or as the pool allows.

    Args:
        pool: use cases with their skills; in which order they came makes no difference.
        params: the operator's.
        draw: what the sequence is drawn by.
    """
    rng = np.random.default_rng(draw)
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
    return tuple(pairs.values())


@lru_cache(maxsize=8)
def _numbers(count: int) -> dict[str, int]:
    """The number of each root by its row id."""
    return {child_row_id("", NAME, k): k for k in range(count)}
