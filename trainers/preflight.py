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

from trainers.config import CONFIGS, DpoConfig, RankConfig, RunConfig, from_params
from trainers.data.cures import CURES
from trainers.data.folder import Handoff, open_handoff, record_hashes, write_atomically
from trainers.data.items import item_sizes
from trainers.data.preferences import answers_of
from trainers.data.recorded import references
from trainers.data.rows import NAMED
from trainers.data.template import hashes
from trainers.data.tokens import TokenReport, Tokens, load_tokenizer, scan
from trainers.errors import HandoffError
from trainers.preflight_report import markdown

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

EXAMPLES = 3


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
    answer: str = ""
    """The column or the rank of the answer, where a row has several."""


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
        config = from_params(_config(handoff), handoff.params)
        tokenizer = load_tokenizer(handoff.base, config.chat_template)
        report = _look(handoff, config, tokenizer)
        record_hashes(handoff, hashes(tokenizer))
    except HandoffError as error:
        report = Report(False, rows=handoff.rows, problems=[Problem("cannot_start", str(error), CURES["cannot_start"])])
    write_atomically(folder / "preflight.json", json.dumps(asdict(report), indent=2, ensure_ascii=False) + "\n")
    write_atomically(folder / "preflight.md", markdown(handoff.name, report))
    return report


def _config(handoff: Handoff) -> type[RunConfig]:
    if handoff.trainer not in CONFIGS:
        raise HandoffError(f"handoff.json names the trainer {handoff.trainer!r}: it must be {' or '.join(CONFIGS)}")
    return CONFIGS[handoff.trainer]


def _look(handoff: Handoff, config: RunConfig, tokenizer: PreTrainedTokenizerFast) -> Report:
    tokens, found = scan(handoff, tokenizer, config)
    report = Report(
        masking=found.masking,
        rows=found.rows,
        kept=found.kept,
        tokens=found.tokens,
        target_tokens=found.targets,
        longest=found.longest,
        over_long=found.over_long,
        truncated=found.cut,
        fully_masked=found.troubles["fully_masked"].count if "fully_masked" in found.troubles else 0,
        examples=[*_examples(tokens, config, tokenizer)],
    )
    of_rows = list(_troubles(found))
    report.problems = [problem for problem in of_rows if problem.code not in found.asked_for]
    report.problems += [*_double_bos(tokens, tokenizer), *_ends(tokens, found, config, tokenizer)]
    report.problems += [*_reference(handoff, tokens, config)]
    report.warnings = [problem for problem in of_rows if problem.code in found.asked_for] + [*_pad(tokenizer)]
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
    tokens: Tokens, found: TokenReport, config: RunConfig, tokenizer: PreTrainedTokenizerFast
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
    without = rows[np.diff(tokens.offsets)[rows] < config.max_length] if found.cut else rows
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


def _reference(handoff: Handoff, tokens: Tokens, config: RunConfig) -> Iterator[Problem]:
    """A table of log-probabilities under a reference that isn't of these tokens."""
    if isinstance(config, DpoConfig) and config.reference == "precomputed":
        try:
            references(handoff, tokens, config)
        except HandoffError as error:
            yield Problem("other_reference", str(error), CURES["other_reference"])


def _of_rows(code: str, message: str, tokens: Tokens, rows: np.ndarray) -> Problem:
    named = tokens.row_ids.take(rows).unique()  # each answer of a preference is a row of tokens
    return Problem(code, message, CURES[code], tuple(named[:NAMED].to_pylist()), len(named))


def _examples(tokens: Tokens, config: RunConfig, tokenizer: PreTrainedTokenizerFast) -> Iterator[Example]:
    """The first rows of the data, answer by answer."""
    places = (place for size in item_sizes(tokens)[:EXAMPLES] for place in range(size))
    for row, place in enumerate(places):
        yield _example(tokens, row, _answer(config, place), tokenizer)


def _answer(config: RunConfig, place: int) -> str:
    """What an answer is called, by its place in its row of the data."""
    if isinstance(config, DpoConfig):
        return answers_of(config)[place]
    return f"rank {place + 1}" if isinstance(config, RankConfig) else ""


def _example(tokens: Tokens, row: int, answer: str, tokenizer: PreTrainedTokenizerFast) -> Example:
    start, end = tokens.offsets[row : row + 2]
    ids, mask = tokens.ids[start:end], tokens.mask[start:end]
    borders = [0, *(np.flatnonzero(np.diff(mask)) + 1), len(ids)]
    pieces = [(str(tokenizer.decode(ids[a:b], skip_special_tokens=False)), bool(mask[a])) for a, b in pairwise(borders)]
    return Example(tokens.row_ids[row].as_py(), tuple(pieces), answer)


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
