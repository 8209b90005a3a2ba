"""`select: mixture`: a data mixture: so many rows or tokens in all, divided among sources by given shares.

Static mixing proportions, as pre-training mixtures are stated (e.g. The Pile, Gao et al., arXiv 2101.00027, table 1),
without the repetition of rows.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from engine.errors import SetwrightError, did_you_mean
from engine.operator import Context, Params, selector
from engine.operators.selectors._groups import (
    NOBODY,
    Groups,
    best_first,
    by_group,
    check_shares,
    groups_of,
    in_step,
    places,
)
from engine.operators.selectors._verdict import NO_SCORE, has_score, verdict
from engine.schema import ROW_ID
from engine.statistics.quotas import quotas

REASONS = ("no_source", "not_in_mixture", "no_size", NO_SCORE, "source_cap", "source_quota")
Share = Annotated[float, Field(gt=0, le=1)]


class MixtureParams(Params):
    """`by` is a SQL expression that names a row's source, and `shares` tells how much of the mixture each gives.

    - `shares`: by the source as text (`{web: 0.6, code: 0.4}`); they sum to 1.
    - `budget` or `tokens`: how much there is in all. `tokens` needs `size`, a SQL expression for the tokens of a row
      (`n_tokens`), in whole numbers.
    - `max_rows`: of a source, the first so many rows in its order are there to be picked.
    - `max_share`: a source gives at most this share, also of what others can't give.
    - `short`: what happens where a source has less than its share: `error` ends the build and says how much is lacking,
      `give_to_others` divides it among the others in proportion, `keep_short` makes a smaller mixture.
    - `score`: a SQL expression, the highest values first; without it the rows are drawn at random.
    """

    by: str = Field(min_length=1)
    shares: dict[str, Share] = Field(min_length=1)
    budget: int | None = Field(None, ge=1)
    tokens: int | None = Field(None, ge=1)
    size: str | None = Field(None, min_length=1)
    max_rows: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    max_share: dict[str, Share] = Field(default_factory=dict)
    short: Literal["error", "give_to_others", "keep_short"] = "error"
    score: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> MixtureParams:
        check_shares(self.shares)
        if (self.budget is None) == (self.tokens is None):
            raise ValueError("give either budget (rows) or tokens, not both")
        if (self.tokens is None) != (self.size is None):
            raise ValueError("tokens and size go together: size tells the tokens of a row")
        for name in (*self.max_rows, *self.max_share):
            if name not in self.shares:
                raise ValueError(f"a cap for {name!r}, which has no share{did_you_mean(name, self.shares)}")
        low = [name for name, cap in self.max_share.items() if cap < self.shares[name]]
        if low:
            raise ValueError(f"max_share of {', '.join(low)} is less than the share")
        return self

    @property
    def total(self) -> int:
        """Rows or tokens in all."""
        total = self.budget if self.tokens is None else self.tokens
        assert total is not None
        return total

    @property
    def sources(self) -> list[str]:
        """The sources in the order in which equal claims are met, which is not the spec's: that has no meaning."""
        return sorted(self.shares)


def _gives(params: MixtureParams, rows: int) -> tuple[int, int]:
    return 0, rows if params.budget is None else min(params.budget, rows)


@selector(params=MixtureParams, reads={}, expressions=("by", "size", "score"), seeded=True, gives=_gives)
def mixture(batch: pa.Table, params: MixtureParams, ctx: Context) -> pa.Table:
    """Divides a budget of rows or tokens among sources and keeps the best, or randomly drawn, rows of each.

    By rows the shares are met to the row (largest remainders, ties in the order of the sources' names). By tokens each
    source's quota is exact to the token, and its rows are taken in order, passing over each one that is larger than
    what the quota has left: the mixture never exceeds `tokens`, and no row that is left behind (`source_quota`) would
    fit in its source's rest. The last few rows of a source are therefore rather short ones.

    Rows are dropped as `no_source` (null), `not_in_mixture` (a source without a share), `no_size` (null, NaN or
    negative), `no_score` (null or NaN), `source_cap` (beyond `max_rows`) and `source_quota`. Ranks go through the
    sources in step, so that a beginning of the mixture is nearly mixed alike.

    No row is kept twice: a source that is to be seen several times is repeated by a table before this one, in which
    each row gets an id of its own: `sql: SELECT * EXCLUDE (row_id) FROM code, range(2)`.

    Raises:
        SetwrightError: a source is short and `short` is `error`; sizes are no whole numbers; `by` can't group rows.
    """
    source = _sources(groups_of(batch["by"], "by"), params)
    sizes, sized = _sizes(batch)
    scored = has_score(batch["score"]) if "score" in batch.column_names else np.ones(len(batch), bool)
    order = best_first(batch, ctx.seed)
    order = order[(source[order] != NOBODY) & sized[order]]
    queue = by_group(order, source)
    caps = np.array([params.max_rows.get(name, len(batch)) for name in params.sources])
    within = places(source[queue]) < caps[source[queue]]
    capped = np.zeros(len(batch), bool)
    capped[queue[~within]] = True
    queue = queue[within]
    quota = _divided(params, _sums(sizes[queue], source[queue], len(caps)))
    picks = queue[_taken(sizes[queue], source[queue], quota)]
    why = np.select([~batch["by"].is_valid().to_numpy(), source == NOBODY, ~sized, ~scored, capped], range(5), 5)
    return verdict(batch[ROW_ID], in_step(picks, source), pa.array(REASONS).take(pa.array(why)))


def _sources(groups: Groups, params: MixtureParams) -> np.ndarray:
    """The number of each row's source among `params.sources`, int64 [n]; `NOBODY` where it has no share."""
    numbers: dict[str | None, int] = {name: number for number, name in enumerate(params.sources)}
    of_group = np.array([numbers.get(name, NOBODY) for name in groups.names], np.int64)
    source: np.ndarray = of_group[groups.of]
    return source


def _sizes(batch: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """What each row takes of the budget, int64 [n], and whether that is known, bool [n]; 1 where rows are counted.

    Raises:
        SetwrightError: a size is no whole number.
    """
    if "size" not in batch.column_names:
        return np.ones(len(batch), np.int64), np.ones(len(batch), bool)
    known = has_score(batch["size"])
    try:
        sizes = pc.if_else(pa.array(known), batch["size"], None).cast(pa.int64()).fill_null(-1).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SetwrightError(
            f"size is of type {batch['size'].type} and gives no whole numbers of tokens: {error}",
            cure="round it up in the expression: size: CAST(ceil(...) AS BIGINT)",
        ) from error
    return sizes, sizes >= 0


def _sums(sizes: np.ndarray, source: np.ndarray, sources: int) -> np.ndarray:
    """What each source has, int64 [sources]; rows stand source by source."""
    bounds = np.searchsorted(source, np.arange(sources + 1))
    sums: np.ndarray = np.diff(np.concatenate([[0], np.cumsum(sizes)])[bounds])
    return sums


def _divided(params: MixtureParams, has: np.ndarray) -> np.ndarray:
    """The quota of each source, int64 [sources], of rows or tokens."""
    names, total = params.sources, params.total
    shares = np.array([params.shares[name] for name in names])
    top = np.array([int(round(params.max_share.get(name, 1.0) * total, 6)) for name in names])
    wanted = quotas(total, shares, np.full(len(names), total))
    room = np.minimum(has, top)
    if params.short == "give_to_others":
        return quotas(total, shares, room)
    short = np.flatnonzero(wanted > room)
    if len(short) and params.short == "error":
        unit = "rows" if params.tokens is None else "tokens"
        lacking = "; ".join(f"{names[i]} has {room[i]:,} of {wanted[i]:,} {unit}" for i in short)
        raise SetwrightError(
            f"sources are short of their shares: {lacking}",
            cure="lower the budget or the share, or say what to do: short: give_to_others (or keep_short)",
        )
    quota: np.ndarray = np.minimum(wanted, room)
    return quota


def _taken(sizes: np.ndarray, source: np.ndarray, quota: np.ndarray) -> np.ndarray:
    """Which rows are taken, bool [m]; rows stand source by source, each source's in the order of preference."""
    bounds = np.searchsorted(source, np.arange(len(quota) + 1))
    taken = [first_fit(sizes[bounds[i] : bounds[i + 1]], int(room)) for i, room in enumerate(quota)]
    return np.concatenate(taken)


def first_fit(sizes: np.ndarray, room: int) -> np.ndarray:
    """Which of the sizes are taken, bool [m], if each one in turn is that still fits in what is left of the room."""
    taken = np.zeros(len(sizes), bool)
    left = np.flatnonzero(sizes <= room)
    while len(left):
        ends = np.cumsum(sizes[left])
        fits = int(np.searchsorted(ends, room, side="right"))  # at least one
        taken[left[:fits]] = True
        room -= int(ends[fits - 1])
        left = left[fits:]
        left = left[sizes[left] <= room]
    return taken
