"""The lengths that a request names and the length that a text has, as polars expressions.

What is counted is words of Latin letters and CJK ideographs, together. Each of the two jobs is done in two ways: as one
would expect, and (`published`) as the scripts behind the published numbers do it, with every oddity of their regular
expressions (THUDM/LongWriter, evaluation; modelscope/evalscope, third_party/longbench_write).
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

NUMERALS = {n: str(i) for i, n in enumerate("零一二三四五六七八九")} | {"两": "2", "俩": "2"}
UNITS = {"千": 1000, "百": 100, "十": 10}
MYRIAD = "万"  # ten thousand: what stands before it is counted in it
MOST = 2.0**53  # a length beyond is this one, and no text comes near to either

_ONE = "".join(NUMERALS)
_ANY = f"{_ONE}十百千万"
_DIGIT = r"[0-9\x{ff10}-\x{ff19}]"  # also those of full width
_NUMBER = f"(?:(?:{_DIGIT}|,)*{_DIGIT})"
_SCALED = rf"(?:{_NUMBER}(?:\.{_DIGIT}+)?|[{_ONE}十])(?:[{_ANY}]|{_DIGIT})*"
REQUEST = rf"(?i)(?:{_NUMBER}字|{_SCALED}[百千万](?:[{_ANY}]|{_DIGIT})*字|{_NUMBER}[ -]?words?(?-u:\b))"
PUBLISHED_DIGITS = rf"{_DIGIT}+(?:字| words)"
PUBLISHED_NUMERALS = rf"[{_ONE}][百千万]字"
WORD = r"[\p{L}\p{N}_]+"  # what stands between two \b of Python's `re`
FOREIGN_WORD = r"[A-Za-z]*[[\p{L}\p{N}_]--[A-Za-z]][\p{L}\p{N}_]*"  # such a run with anything but Latin letters in it
IDEOGRAPH = r"[\x{4e00}-\x{9fff}]"


def requests(text: pl.Expr, *, published: bool) -> tuple[pl.Expr, pl.Expr]:
    """The first length that a text names, and how many different ones it names; of a null text null.

    A length is digits before 字 ("characters"), a number with 百, 千 or 万 (hundred, thousand, ten thousand) before
    it, or digits before "words". Published, "1,000 words" is 000 and "1000-word" nothing; of a number in numerals only
    the last one before its last unit counts, and digits before a unit do not; lengths in digits differ if their texts
    do, and each of them differs from any in numerals.

    Returns:
        int64, and int32.
    """
    import polars as pl

    if not published:
        named = text.str.extract_all(REQUEST).list.eval(_amount(pl.element())).list.unique(maintain_order=True)
        return named.list.first(), named.list.len().cast(pl.Int32)
    digits = text.str.extract_all(PUBLISHED_DIGITS).list.eval(pl.element().str.extract(f"({_DIGIT}+)"))
    numerals = text.str.extract_all(PUBLISHED_NUMERALS).list.eval(_amount(pl.element()))
    first = digits.list.eval(_amount(pl.element())).list.concat(numerals).list.first()
    return first, (digits.list.n_unique() + numerals.list.n_unique()).cast(pl.Int32)


def word_count(text: pl.Expr, *, published: bool) -> pl.Expr:
    """CJK ideographs (U+4E00 to U+9FFF) and words of Latin letters, int64; digits don't count.

    A word is a run of Latin letters. Published, it is one that no digit, underscore or letter of another script
    touches: in "用Python写" there is none.
    """
    import polars as pl

    if published:
        words = text.str.count_matches(WORD) - text.str.count_matches(FOREIGN_WORD)
    else:
        words = text.str.count_matches("[A-Za-z]+")
    return text.str.count_matches(IDEOGRAPH).cast(pl.Int64) + words.cast(pl.Int64)


def _amount(request: pl.Expr) -> pl.Expr:
    """The number that a request begins with, in digits, in Chinese numerals, or in both (1万5千)."""
    import polars as pl

    plain = request.str.normalize("NFKC").str.replace_all(",", "", literal=True)
    number = plain.str.extract(rf"^([0-9.{_ANY}]+)")
    myriads = number.str.extract(f"^(.*){MYRIAD}")
    rest = number.str.replace(f"^.*{MYRIAD}", "")
    total = 10_000 * _below_myriad(myriads).fill_null(0) + _below_myriad(rest)
    return total.round().clip(0, MOST).cast(pl.Int64)


def _below_myriad(number: pl.Expr) -> pl.Expr:
    """The sum of a number's thousands, hundreds, tens and ones; a unit alone is one of it (十: 10)."""
    import polars as pl

    figure = rf"[0-9]+(?:\.[0-9]+)?|[{_ONE}]"
    parts = [
        pl.when(number.str.contains(unit, literal=True))
        .then(size * _value(number.str.extract(f"({figure})?{unit}")).fill_null(1))
        .otherwise(0)
        for unit, size in UNITS.items()
    ]
    ones = _value(number.str.extract(f"({figure})$")).fill_null(0)
    return pl.when(number.is_not_null()).then(reduce(add, parts, ones))


def _value(figure: pl.Expr) -> pl.Expr:
    import polars as pl

    return figure.replace(NUMERALS).cast(pl.Float64)
