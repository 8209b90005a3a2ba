"""Spans of a plan for people: `12,600`, `about 9,300 (6,000-12,600)`, `up to 1.2M`, `at least 40k`, `unknown`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.plan.spans import Span


def counted(span: Span) -> str:
    """Rows or calls, in full."""
    return _said(span, lambda n: f"{n:,.0f}", _rounded)


def tokens(span: Span) -> str:
    """Tokens, in thousands (k) and millions (M) with three figures."""
    return _said(span, _short, lambda n: n)


def ends(span: Span) -> dict[str, Any]:
    """The ends for a machine; `high` is null where no upper bound is known."""
    return {"low": int(span.low), "high": None if span.high is None else int(span.high)}


def _said(span: Span, write: Callable[[float], str], middle: Callable[[float], float]) -> str:
    if span.unknown:
        return "unknown"
    if span.high is None:
        return f"at least {write(span.low)}"
    if span.exact:
        return write(span.low)
    if span.low == 0:
        return f"up to {write(span.high)}"
    return f"about {write(middle((span.low + span.high) / 2))} ({write(span.low)}-{write(span.high)})"


def _rounded(n: float) -> float:
    """With two figures, or three from a thousand on."""
    return float(f"{n:.{1 if n < 1000 else 2}e}")


def _short(n: float) -> str:
    if n < 10_000:
        return f"{n:,.0f}"
    for unit, size in (("k", 1e3), ("M", 1e6)):
        if n < 999.5 * size:
            return f"{n / size:.3g}{unit}"
    return f"{n / 1e9:,.3g}G"
