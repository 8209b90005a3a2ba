"""Plain text for people: aligned columns, short numbers, and JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import click


def echo_json(value: Any) -> None:
    """One JSON document; decimals (DuckDB's sums) as numbers, what else JSON does not know (times) as text."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))


def columns(header: Sequence[str], rows: Iterable[Sequence[Any]], right: Iterable[int] = ()) -> str:
    """Aligned columns; those in `right` (by position) are flushed right, the last one is never padded."""
    lines = [[_cell(c) for c in header], *([_cell(c) for c in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    flushed = set(right)

    def pad(i: int, cell: str) -> str:
        return cell.rjust(widths[i]) if i in flushed else cell.ljust(widths[i])

    return "\n".join("  ".join(pad(i, cell) for i, cell in enumerate(line)).rstrip() for line in lines)


def count(n: int | None) -> str:
    """`12,345`, and a dash for unknown."""
    return "-" if n is None else f"{n:,}"


def seconds(s: float | None) -> str:
    """`0.42 s`, `12 s`, `3 m 20 s`."""
    if s is None:
        return "-"
    if s < 10:
        return f"{s:.2f} s"
    return f"{s:.0f} s" if s < 120 else f"{s // 60:.0f} m {s % 60:02.0f} s"


def shorten(value: Any, width: int = 100) -> str:
    """One line of at most `width` characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= width else text[: width - 3] + "..."


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
