"""How a plan's spans are written."""

import pytest

from engine.cli.figures import counted, ends, tokens
from engine.plan.spans import UNKNOWN, Span, exactly


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (exactly(12600), "12,600"),
        (exactly(0), "0"),
        (Span(6000, 12600), "about 9,300 (6,000-12,600)"),
        (Span(95, 100), "about 98 (95-100)"),
        (Span(0, 400), "up to 400"),
        (Span(40, None), "at least 40"),
        (UNKNOWN, "unknown"),
    ],
)
def test_counts(span, text):
    assert counted(span) == text


def test_tokens_are_short():
    assert [tokens(exactly(n)) for n in (9_999, 12_640, 999_499, 1_234_567, 2_000_000_000)] == [
        "9,999", "12.6k", "999k", "1.23M", "2G"
    ]  # fmt: skip
    assert tokens(Span(900_000, 1_500_000)) == "about 1.2M (900k-1.5M)"


def test_ends_for_a_machine():
    assert (ends(Span(1, 2)), ends(UNKNOWN)) == ({"low": 1, "high": 2}, {"low": 0, "high": None})
