"""`python -m trainers.preflight FOLDER`: what a trainer will see of a hand-off folder, checked before it starts.

One pass over the rows gives the very tokens and masks of the training. The report is written beside the data, as
preflight.json for machines and preflight.md for people (`preflight_report`); exit code 1 means that the folder is
refused. Nothing is repaired here.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainers.config import SftConfig, from_params
from trainers.data.folder import Handoff, open_handoff, record_hashes, write_atomically
from trainers.data.rows import NAMED
from trainers.data.template import hashes
from trainers.data.tokens import ASKED_FOR, TokenReport, Tokens, load_tokenizer, scan
from trainers.errors import HandoffError
from trainers.preflight_report import markdown

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

EXAMPLES = 3

CURES = {
    "prefix_mismatch": "put {% generation %} ... {% endgeneration %} around the assistant's text in the template, "
    "and give it as params.chat_template",
    "template_refuses": "mend the rows, leave them out by a filter, or give another params.chat_template",
    "role_order": "let user and assistant take turns, the user first; leave other rows out by a filter",
    "no_messages": "leave the rows out by a filter",
    "fully_masked": "leave the rows out by a filter, or set train_on: all",
    "seam": "move the white space that ends the prompt or the header to the beginning of the answer, or the other way "
    "round, in the rows or in the template",
    "over_long": "raise params.max_length, leave the rows out by a filter, or set over_long: drop or truncate",
    "cut_answer": "raise params.max_length, or set over_long: drop",
    "cut_to_nothing": "raise params.max_length, or set over_long: drop",
    "double_bos": "take one of the two out of the chat template",
    "end_of_turn": "put the end of turn inside of {% generation %} in the chat template",
    "cannot_start": "mend what it says",
    "nothing_left": "look at the other problems: they took every row",
    "eos_is_pad": "give the tokenizer a pad token of its own (tokenizer.pad_token = an unused special token)",
}
"""What to do about each kind of problem."""


@dataclass(frozen=True)
class Problem:
    """Why a folder is refused, or (as a warning) what to know of it. `rows` are the first of `count` row ids."""

    code: str
    message: str
    cure: str
    rows: tuple[str, ...] = ()
    count: int = 0


@dataclass(frozen=True)
class Example:
    """A row as the model sees it, in pieces: text, and whether it is trained on."""

    row_id: str
    pieces: tuple[tuple[str, bool], ...]


@dataclass
class Report:
    """All that the pre-flight found."""

    passed: bool = True
    masking: str = ""
    rows: int = 0
    kept: int = 0
    tokens: int = 0
    target_tokens: int = 0
    longest: int = 0
    over_long: int = 0
    truncated: int = 0
    fully_masked: int = 0
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)


def check(folder: Path) -> Report:
    """Look at a folder, write the report into it, and put the hashes of template and tokenizer into handoff.json.

    Raises:
        HandoffError: there is no hand-off in the folder, or its data isn't as it was written.
    """
    handoff = open_handoff(folder)
    try:
        config = from_params(SftConfig, handoff.params)
        tokenizer = load_tokenizer(handoff.base, config.chat_template)
        report = _look(handoff, config, tokenizer)
        record_hashes(handoff, hashes(tokenizer))
    except HandoffError as error:
        report = Report(False, rows=handoff.rows, problems=[Problem("cannot_start", str(error), CURES["cannot_start"])])
    write_atomically(folder / "preflight.json", json.dumps(asdict(report), indent=2, ensure_ascii=False) + "\n")
    write_atomically(folder / "preflight.md", markdown(handoff.name, report))
    return report


def _look(handoff: Handoff, config: SftConfig, tokenizer: PreTrainedTokenizerFast) -> Report:
    tokens, found = scan(handoff, tokenizer, config)
    report = Report(
        masking=found.masking,
        rows=found.rows,
        kept=found.kept,
        tokens=found.tokens,
        target_tokens=found.targets,
        longest=found.longest,
        over_long=found.over_long,
        truncated=found.over_long if config.over_long == "truncate" else 0,
        fully_masked=found.troubles["fully_masked"].count if "fully_masked" in found.troubles else 0,
        examples=[_example(tokens, row, tokenizer) for row in range(min(EXAMPLES, found.kept))],
    )
    of_rows = list(_troubles(found))
    asked_for = ASKED_FOR[config.over_long]
    report.problems = [problem for problem in of_rows if problem.code not in asked_for]
    report.problems += [*_double_bos(tokens, tokenizer), *_ends(tokens, found, config, tokenizer)]
    report.warnings = [problem for problem in of_rows if problem.code in asked_for] + [*_pad(tokenizer)]
    if not found.kept:
        report.problems.append(Problem("nothing_left", "no row is left to train on", CURES["nothing_left"]))
    report.passed = not report.problems
    return report


def _troubles(found: TokenReport) -> Iterator[Problem]:
    """What `scan` has found wrong with rows."""
    for code, trouble in found.troubles.items():
        yield Problem(code, trouble.message, CURES[code], tuple(trouble.rows), trouble.count)


def _double_bos(tokens: Tokens, tokenizer: PreTrainedTokenizerFast) -> Iterator[Problem]:
    """A beginning of text that stands twice at the beginning of a row."""
    bos, starts = tokenizer.bos_token_id, tokens.offsets[:-1]
    starts = starts[np.diff(tokens.offsets) > 1]
    if bos is None or not len(starts):
        return
    twice = np.flatnonzero((tokens.ids[starts] == bos) & (tokens.ids[starts + 1] == bos))
    if len(twice):
        message = f"{tokenizer.bos_token} stands twice at the beginning"
        yield _of_rows("double_bos", message, tokens, twice)


def _ends(
    tokens: Tokens, found: TokenReport, config: SftConfig, tokenizer: PreTrainedTokenizerFast
) -> Iterator[Problem]:
    """Rows with an answer that the model would never learn to end.

    An answer ends with a special token, or with one and a token of white space after it. Cut rows are not asked.
    """
    if found.masking in ("all", "completion") or not found.kept:
        return
    is_special = np.isin(tokens.ids, sorted({*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}))
    last = tokens.mask & ~np.append(tokens.mask[1:], False)
    last[tokens.offsets[1:] - 1] = tokens.mask[tokens.offsets[1:] - 1]
    ends = np.flatnonzero(last)
    opens = ends[~(is_special[ends] | (is_special[ends - 1] & tokens.mask[ends - 1]))]
    rows = np.unique(np.searchsorted(tokens.offsets, opens, "right") - 1)
    without = rows[np.diff(tokens.offsets)[rows] < config.max_length] if config.over_long == "truncate" else rows
    if len(without):
        yield _of_rows("end_of_turn", "the end of turn of an answer is not among its loss targets", tokens, without)


def _pad(tokenizer: PreTrainedTokenizerFast) -> Iterator[Problem]:
    """Setwright masks by position; trainers that mask every pad token would never teach the model to end."""
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id == tokenizer.eos_token_id:
        message = (
            f"{tokenizer.eos_token} is both the end of text and the pad token: a trainer that masks pads never teaches "
            "the model to end"
        )
        yield Problem("eos_is_pad", message, CURES["eos_is_pad"])


def _of_rows(code: str, message: str, tokens: Tokens, rows: np.ndarray) -> Problem:
    named = tuple(tokens.row_ids[int(row)].as_py() for row in rows[:NAMED])
    return Problem(code, message, CURES[code], named, len(rows))


def _example(tokens: Tokens, row: int, tokenizer: PreTrainedTokenizerFast) -> Example:
    start, end = tokens.offsets[row : row + 2]
    ids, mask = tokens.ids[start:end], tokens.mask[start:end]
    borders = [0, *(np.flatnonzero(np.diff(mask)) + 1), len(ids)]
    pieces = [(str(tokenizer.decode(ids[a:b], skip_special_tokens=False)), bool(mask[a])) for a, b in pairwise(borders)]
    return Example(tokens.row_ids[row].as_py(), tuple(pieces))


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m trainers.preflight", description="Check a hand-off folder.")
    parser.add_argument("folder", type=Path, help="the folder that holds handoff.json")
    folder = parser.parse_args(arguments).folder
    try:
        report = check(folder)
    except HandoffError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for problem in report.problems:
        sys.stderr.write(f"{problem.code}: {problem.message} ({problem.count} rows); {problem.cure}\n")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
