"""The pre-flight's report as Markdown, for people: the counts, what is wrong, and three rows with their loss spans."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainers.preflight import Example, Problem, Report

MASKING = {
    "generation": "the template's generation markers",
    "prefix": "the conversation rendered up to each assistant turn",
    "completion": "the completion",
    "all": "every token",
    "prompt": "the answers that the policy will write",
}
OPEN, CLOSE = "⟦", "⟧"


def markdown(name: str, report: Report) -> str:
    """The report as one page."""
    verdict = "passed" if report.passed else "refused"
    share = report.target_tokens / max(report.tokens, 1)
    lines = [
        f"# Pre-flight of {name}: {verdict}",
        "",
        "| what | count |",
        "| --- | ---: |",
        f"| rows | {report.rows:,} |",
        f"| rows that are trained on | {report.kept:,} |",
        f"| tokens | {report.tokens:,} |",
        f"| loss targets | {report.target_tokens:,} ({share:.0%}) |",
        f"| longest row, tokens | {report.longest:,} |",
        f"| rows over max_length | {report.over_long:,} |",
        f"| rows that are cut | {report.truncated:,} |",
        f"| rows without a loss target | {report.fully_masked:,} |",
        "",
    ]
    if report.masking:
        lines += [f"Loss targets come from {MASKING[report.masking]}.", ""]
    lines += [*_list("Problems", report.problems), *_list("To know", report.warnings), *_examples(report.examples)]
    return "\n".join(lines)


def _list(title: str, problems: Iterable[Problem]) -> list[str]:
    items = []
    for problem in problems:
        rows = f" Rows ({problem.count:,}): {', '.join(problem.rows)}." if problem.rows else ""
        items.append(f"- **{problem.code}**: {problem.message}.{rows} Cure: {problem.cure}.")
    return [f"## {title}", "", *items, ""] if items else []


def _examples(examples: Iterable[Example]) -> list[str]:
    """Rows as the model sees them; what is trained on stands between the brackets."""
    lines = [f"## Rows as the model sees them, loss targets in {OPEN}brackets{CLOSE}", ""]
    for example in examples:
        text = "".join(f"{OPEN}{piece}{CLOSE}" if target else piece for piece, target in example.pieces)
        name = f"`{example.row_id}`" + (f", {example.answer}" if example.answer else "")
        lines += [name, "", *(f"    {line}" for line in text.split("\n")), ""]
    return lines
