"""`select: magpie`: the filters of the Magpie sets, by tags, rewards and near-duplicates, then by length.

Xu et al., arXiv 2406.08464, and the official notebook (magpie-align/magpie). Of the near-duplicate columns of the
paper the rule is kept and the columns are not: whom a row repeats stands in the verdict (nn_id, nn_sim).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.operator import Context, Reads, selector
from engine.operators.selectors._magpie_rules import MagpieParams, Rules
from engine.operators.selectors._verdict import verdict
from engine.schema import EMBEDDING_TYPE, MESSAGES_TYPE, NUMBER_TYPE, ROW_ID, TEXT_TYPE
from engine.vectors.disk import MemoryTape
from engine.vectors.nearest import nearest_k
from engine.vectors.ordered import Ordered
from engine.vectors.repeats import NOBODY, first_repeats
from engine.vectors.unit import UnitVectors

NO_EMBEDDING, DUPLICATE = "no_embedding", "near_duplicate"
SHORTER, SECOND_TURN = "shorter_response", "second turn ends with a colon"
KEPT = -1
CODING = "Coding & Debugging"


def _reads(params: MagpieParams) -> Mapping[str, Reads]:
    """The columns that the rules in force look at, and no others."""
    rules = params.rules
    wanted = {
        "input_quality": (bool(rules.quality), Reads(TEXT_TYPE)),
        "difficulty": (bool(rules.difficulty), Reads(TEXT_TYPE)),
        "reward": (
            rules.reward_min is not None or rules.reward_above is not None,
            Reads(NUMBER_TYPE, default=("instruct_reward", "reward")),
        ),
        "reward_difference": (rules.reward_difference_above is not None, Reads(NUMBER_TYPE)),
        "instruction": (rules.no_colon or rules.max_newlines is not None, Reads(TEXT_TYPE)),
        "task_category": (rules.max_newlines is not None, Reads(TEXT_TYPE)),
        "embedding": (rules.compares, Reads(EMBEDDING_TYPE)),
        "messages": (rules.no_colon_in_turn_2, Reads(MESSAGES_TYPE)),
        "response": (rules.longest is not None, Reads(TEXT_TYPE)),
    }
    return {name: reads for name, (needed, reads) in wanted.items() if needed}


def _gives(params: MagpieParams, rows: int) -> tuple[int, int]:
    longest = params.rules.longest
    return 0, rows if longest is None else min(longest, rows)


@selector(params=MagpieParams, reads=_reads, gives=_gives)
def magpie(batch: pa.Table, params: MagpieParams, ctx: Context) -> pa.Table:  # noqa: ARG001  (the form of a selector)
    """Drops rows by the rules of a preset, then keeps those with the longest responses.

    The rules on tags, rewards, form and near-duplicates come first, each with its reason (the first that a row fails);
    a null never passes a rule. Of the rows left the `longest` responses in characters are kept, equal ones in the
    order of row_id. A near-duplicate is a row that lies nearer than `duplicate_distance` to an earlier row, whether
    that one is kept or not: with A near B and B near C, A alone is kept, although C is not near A. Where the notebook
    goes by the table's order, rows go by their row_id here, so that another order keeps the same rows. A row without
    a vector can't be compared and is dropped where vectors are compared.
    """
    batch = batch.take(pc.sort_indices(batch[ROW_ID]))
    rules = params.rules
    found = _compare(batch, rules)
    tried = [*_rules(batch, rules), *_vector_rules(rules, found)]
    names = [*(name for name, _ in tried), SHORTER, SECOND_TURN]
    why = np.full(batch.num_rows, KEPT)
    for number, (_, passed) in enumerate(tried):
        why[(why == KEPT) & ~passed] = number
    picks = _longest(batch, np.flatnonzero(why == KEPT), rules.longest)
    why[np.setdiff1d(np.flatnonzero(why == KEPT), picks)] = len(tried)
    if rules.no_colon_in_turn_2:
        ends = _second_turn_ends_with_colon(batch["messages"])
        why[picks[ends[picks]]] = len(tried) + 1
        picks = picks[~ends[picks]]
    reasons = pa.array(names).take(pa.array(why, mask=why == KEPT))
    displaced = reasons.to_numpy(zero_copy_only=False) == DUPLICATE
    return verdict(batch[ROW_ID], picks, reasons, np.where(displaced, found.repeated, NOBODY), found.cosine)


@dataclass(frozen=True)
class _Neighbours:
    """What the vectors of n rows tell; a rule that is off leaves its arrays as if no row had a neighbour.

    Attributes:
        known: bool [n], whether a row has a vector.
        distance: float64 [n], the squared L2 distance of unit vectors to the nearest other row.
        repeated: int [n], the first earlier row within the `duplicate_distance`, or `NOBODY`.
        cosine: float32 [n], to that row.
    """

    known: np.ndarray
    distance: np.ndarray
    repeated: np.ndarray
    cosine: np.ndarray


def _compare(batch: pa.Table, rules: Rules) -> _Neighbours:
    """Compares the rows in the order in which they stand, as far as the rules in force ask for it."""
    n = batch.num_rows
    known = UnitVectors(batch["embedding"]).known if rules.compares else np.zeros(n, bool)
    found = _Neighbours(known, np.full(n, np.inf), np.full(n, NOBODY), np.zeros(n, np.float32))
    rows = np.flatnonzero(known)
    if rules.distance_above is not None:
        nearest = nearest_k(Ordered(UnitVectors(batch["embedding"]), rows), 1)
        found.distance[rows] = 2 - 2 * nearest.similarity.max(axis=1, initial=-np.inf)
    if rules.duplicate_distance is not None:
        tape = MemoryTape(batch["embedding"], rows)
        repeats = first_repeats(tape, np.array([0, len(rows)]), 1 - rules.duplicate_distance / 2)
        found.repeated[rows] = np.where(repeats.first == NOBODY, NOBODY, rows[repeats.first])
        found.cosine[rows] = repeats.cosine
    return found


def _rules(batch: pa.Table, rules: Rules) -> Iterator[tuple[str, np.ndarray]]:
    """The rules in force on single rows: the reason of a drop, and which rows pass, bool [n]."""
    for column, labels in (("input_quality", rules.quality), ("difficulty", rules.difficulty)):
        if labels:
            yield f"{column} is not {' or '.join(labels)}", _true(pc.is_in(batch[column], pa.array(labels)))
    if rules.reward_min is not None:
        yield f"reward is not at least {rules.reward_min:g}", _true(pc.greater_equal(batch["reward"], rules.reward_min))
    bounds = {"reward": rules.reward_above, "reward_difference": rules.reward_difference_above}
    for column, bound in bounds.items():
        if bound is not None:
            yield f"{column} is not above {bound:g}", _true(pc.greater(batch[column], bound))
    if rules.no_colon:
        yield "instruction ends with a colon", ~_ends_with_colon(batch["instruction"])
    if rules.max_newlines is not None:
        few = pc.less_equal(pc.count_substring(batch["instruction"], "\n"), rules.max_newlines)
        yield f"more than {rules.max_newlines} newlines", _true(few) | _true(pc.equal(batch["task_category"], CODING))


def _vector_rules(rules: Rules, found: _Neighbours) -> Iterator[tuple[str, np.ndarray]]:
    """The rules in force on the rows' vectors."""
    if rules.compares:
        yield NO_EMBEDDING, found.known
    if rules.distance_above is not None:
        yield f"distance is not above {rules.distance_above:g}", found.distance > rules.distance_above
    if rules.duplicate_distance is not None:
        yield DUPLICATE, found.repeated == NOBODY


def _longest(batch: pa.Table, left: np.ndarray, budget: int | None) -> np.ndarray:
    """The kept rows in the order of pick: that of row_id, or by falling length of the response."""
    if budget is None:
        return left
    keys = pa.table({"row_id": batch[ROW_ID], "size": pc.utf8_length(batch["response"])}).take(pa.array(left))
    order = pc.sort_indices(keys, sort_keys=[("size", "descending"), ("row_id", "ascending")])
    picks: np.ndarray = left[order.to_numpy()[:budget].astype(np.int64)]
    return picks


def _second_turn_ends_with_colon(messages: pa.ChunkedArray) -> np.ndarray:
    """Whether the second user turn ends with a colon, bool [n]; false where there is none."""
    ends = np.zeros(len(messages), bool)
    flat = pa.table({"row": pc.list_parent_indices(messages), "turn": pc.list_flatten(messages)}).combine_chunks()
    user = flat.filter(pc.equal(pc.struct_field(flat["turn"], "role"), "user"))
    rows = user["row"].to_numpy().astype(np.int64)
    number = np.arange(len(rows)) - np.searchsorted(rows, rows)  # of a user turn in its row
    second = number == 1
    colon = _ends_with_colon(pc.struct_field(user["turn"], "content"))
    ends[rows[second]] = colon[second]
    return ends


def _ends_with_colon(texts: pa.ChunkedArray) -> np.ndarray:
    """Whether a text ends with a colon or is null, bool [n]; white space after it is not looked at."""
    ended: np.ndarray = pc.fill_null(pc.ends_with(pc.utf8_rtrim_whitespace(texts), ":"), True).to_numpy()
    return ended


def _true(mask: pa.ChunkedArray) -> np.ndarray:
    values: np.ndarray = pc.fill_null(mask, False).to_numpy()
    return values
