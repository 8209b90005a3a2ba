"""`score: i_sheep_rules`: the first of I-SHEEP's rules that an answer fails, by name.

The heuristic filter of Liang et al. (arXiv 2408.08072, section 3.1). It kills some good answers too, those with lists
"A." to "E." for instance: count the rows of each rule before you trust it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from engine.operator import Context, Params, Reads, scorer
from engine.schema import ROW_ID, TEXT_TYPE

if TYPE_CHECKING:
    import polars as pl

SHORT = 120  # characters of a short paragraph

ROLE_OR_LABEL = r"(?im)^\s*(?:assistant|system|human|user|question|output)\s*(?::|\n)"
NO_INPUT = r"(?i)<\s*no\s*input\s*>|\bnoinput\b"
NEW_QUESTION = rf"(?i)\n\s*\n\s*(?:(?:can|do) you\b|[^\n]{{1,{SHORT}}}\?[ \t]*(?:\n|\z))"
CHOICE = r"(?m)^\s*[A-E]\.(?:\s|$)|\([A-E]\)"
PLACEHOLDER = r"(?i)\bplaceholder\b|[\[<{](?:insert|your|name|text|input|paragraph|sentence|article)\b[^\]>}]*[\]>}]"
NONE = r"(?i)^\s*(?:none|n/?a|no input(?: (?:needed|required))?)\s*\.?\s*$"


class ISheepRulesParams(Params):
    """The rules have no parameters: keep the rows that you want by `rule_filter`."""


@scorer(
    params=ISheepRulesParams,
    reads={
        "instruction": Reads(TEXT_TYPE),
        "input": Reads(TEXT_TYPE, optional=True),
        "response": Reads(TEXT_TYPE),
    },
    writes={"rule_filter": pa.string()},  # the name of the failed rule; null for a row that passes all of them
)
def i_sheep_rules(batch: pa.Table, params: ISheepRulesParams, ctx: Context) -> pa.Table:  # noqa: ARG001
    """Names the first rule that an answer, or its instruction or input, fails.

    A null answer counts as `empty`. The rules are named in the order in which they are looked at.
    """
    import polars as pl  # half a second, which a plan shouldn't pay

    given = pl.col("input") if "input" in batch.column_names else pl.lit("")
    texts = pl.DataFrame(pl.from_arrow(batch)).with_columns(
        given.fill_null("").str.strip_chars().alias("input"),
        pl.col("instruction").fill_null(""),
        pl.col("response").fill_null("").str.strip_chars(),
    )
    failed = pl.coalesce([pl.when(held).then(pl.lit(rule)) for rule, held in _rules().items()])
    found = texts.select(failed.alias("rule_filter")).to_arrow()
    return pa.table({ROW_ID: batch[ROW_ID], "rule_filter": found["rule_filter"]})


def _rules() -> dict[str, pl.Expr]:
    """Which rows fail a rule."""
    import polars as pl

    instruction, given, answer = pl.col("instruction"), pl.col("input"), pl.col("response")
    return {
        "empty": answer == "",
        "role_or_label": answer.str.contains(ROLE_OR_LABEL),
        "answer_choices": answer.str.contains("Answer Choices:", literal=True),
        "no_input_left": answer.str.contains(NO_INPUT),
        "new_question": answer.str.contains(NEW_QUESTION),
        "multiple_choice": answer.str.contains(CHOICE),
        "chinese": answer.str.contains(r"\p{Han}"),
        "placeholder": instruction.str.contains(PLACEHOLDER) | given.str.contains(PLACEHOLDER),
        "none_as_input": given.str.contains(NONE) | given.str.contains(NO_INPUT) | instruction.str.contains(NO_INPUT),
        "input_in_instruction": (given != "") & instruction.str.contains(given, literal=True),
    }
