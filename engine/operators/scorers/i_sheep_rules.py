"""`score: i_sheep_rules`: the first of I-SHEEP's rules that an answer fails, by name.

The heuristic filter of Liang et al. (arXiv 2408.08072, section 3.1). It kills some good answers too, those with lists
"A." to "E." for instance: count the rows of each rule before you trust it.
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from engine.operator import Context, Params, Reads, scorer
from engine.schema import ROW_ID, TEXT_TYPE

CHINESE_ANSWER = r"^\s*(?:答案|回答|答)\s*[:\uff1a]?\s*"
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
    writes={
        "rule_filter": pa.string(),  # the name of the failed rule; null for a row that passes all of them
        "output": pa.string(),  # the answer without the Chinese word for "answer" before it and blanks around it
    },
)
def i_sheep_rules(batch: pa.Table, params: ISheepRulesParams, ctx: Context) -> pa.Table:  # noqa: ARG001
    """Names the first rule that an answer, or its instruction or input, fails.

    A null answer counts as `empty`. The rules look at answers after a leading Chinese word for "answer" is taken away.
    """
    rows = pl.DataFrame(batch) if batch.num_rows else pl.DataFrame(schema=dict.fromkeys(batch.column_names, pl.String))
    given = pl.col("input") if "input" in batch.column_names else pl.lit("")
    texts = rows.with_columns(
        given.fill_null("").alias("input"),
        pl.col("instruction").fill_null(""),
        pl.col("response").str.replace(CHINESE_ANSWER, "").str.strip_chars().alias("output"),
    )
    failed = pl.coalesce([pl.when(held).then(pl.lit(rule)) for rule, held in _rules().items()])
    found = texts.select(failed.alias("rule_filter"), "output").to_arrow()
    return pa.table([batch[ROW_ID], *found.columns], names=[ROW_ID, "rule_filter", "output"])


def _rules() -> dict[str, pl.Expr]:
    """Which rows fail a rule, in the order in which the rules are named."""
    instruction, given, answer = pl.col("instruction"), pl.col("input"), pl.col("output").fill_null("")
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
        "input_in_instruction": (given.str.strip_chars() != "")
        & instruction.str.contains(given.str.strip_chars(), literal=True),
    }
