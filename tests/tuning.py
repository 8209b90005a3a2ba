"""What the tests of the training loop share: token rows without a tokenizer, and hand-off folders of tiny talks."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

WORDS = [
    "the",
    "sea",
    "is",
    "wide",
    "and",
    "night",
    "long",
    ";",
    "name",
    "three",
    "colours",
    ":",
    "red",
    "blue",
    "1",
    "2",
]


def rows_of(*rows: list[int], targets: list[list[bool]] | None = None) -> Any:
    """`trainers.data.tokens.Tokens` of rows of ids; every token a target unless said otherwise."""
    from trainers.data.tokens import Tokens

    return Tokens(
        np.concatenate(rows).astype(np.int32),
        np.concatenate(targets) if targets else np.ones(sum(map(len, rows)), bool),
        np.cumsum([0, *map(len, rows)]).astype(np.int64),
        pa.chunked_array([[f"r{i}" for i in range(len(rows))]]),
    )


def random_rows(count: int, longest: int, vocabulary: int = 400, seed: int = 0) -> Any:
    """Rows of 2 to `longest` random ids; about half of their tokens are targets."""
    chance = random.Random(seed)
    rows = [[chance.randrange(3, vocabulary) for _ in range(chance.randint(2, longest))] for _ in range(count)]
    return rows_of(*rows, targets=[[chance.random() < 0.5 for _ in row] for row in rows])


def talks(count: int, seed: int = 0, words: int = 9) -> list[dict[str, Any]]:
    """Rows of one question and one answer, of about `words` words each."""
    chance = random.Random(seed)

    def said(role: str) -> dict[str, str]:
        return {"role": role, "content": " ".join(chance.choices(WORDS, k=chance.randint(2, 2 * words - 2)))}

    return [{"row_id": f"r{i}", "messages": [said("user"), said("assistant")]} for i in range(count)]


def pairs(count: int, seed: int = 0, words: int = 9) -> list[dict[str, Any]]:
    """Rows of one question and two answers to it, of about `words` words each."""
    others = talks(count, seed + 1000, words)
    return [
        {"row_id": row["row_id"], "prompt": row["messages"][:1], "chosen": row["messages"][1:],
         "rejected": other["messages"][1:]}
        for row, other in zip(talks(count, seed, words), others, strict=True)
    ]  # fmt: skip


def write_handoff(folder: Path, base: Path, rows: list[dict[str, Any]], *, trainer: str = "sft", **params: Any) -> Path:
    """A native hand-off folder, its fingerprint that of the rows."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    part = folder / "data/part-00000.parquet"
    pq.write_table(pa.Table.from_pylist(rows), part)
    digest = hashlib.sha256(part.read_bytes()).hexdigest()
    record = {
        "version": 1, "name": "tuned", "trainer": trainer, "seed": 17, "params": params, "hashes": {},
        "base": {"model": str(base), "revision": None, "chat_template": None},
        "data": {
            "fingerprint": digest[:16], "rows": len(rows), "columns": list(rows[0]),
            "files": [{"path": "data/part-00000.parquet", "rows": len(rows), "sha256": digest}],
        },
    }  # fmt: skip
    (folder / "handoff.json").write_text(json.dumps(record))
    return folder
