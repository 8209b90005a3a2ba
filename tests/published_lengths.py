"""Lengths as the scripts behind the published numbers count, read and score them, written out row by row."""

from __future__ import annotations

import re

NUMERALS = {"零": 0, "一": 1, "二": 2, "两": 2, "俩": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
UNITS = {"百": 100, "千": 1000, "万": 10_000}


def published_score(x: int, y: int) -> float:
    """THUDM/LongWriter, evaluation/eval_length.py, which knows no y = 0."""
    return 100 * max(0, 1 - (y / x - 1) / 3) if y > x else 100 * max(0, 1 - (x / y - 1) / 2)


def published_count(text: str) -> int:
    """THUDM/LongWriter, evaluation/pred.py."""
    return len(re.findall("[\u4e00-\u9fff]", text)) + len(re.findall(r"\b[a-zA-Z]+\b", text))


def published_requests(text: str) -> list[int]:
    """modelscope/evalscope, longbench_write/tools/data_etl.py: what is left in its set of lengths."""
    digits = {*re.findall(r"(\d+)字", text), *re.findall(r"(\d+) words", text)}
    found = re.findall("(.)([百千万])字", text)
    return [*map(int, digits), *{NUMERALS[n] * UNITS[unit] for n, unit in found if n in NUMERALS}]
