"""Polite and rude answers to the same requests, from the shared data, and how often a model prefers the polite ones."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[2] / "shared" / "data" / "preferences" / "polite_vs_rude_1100.parquet"


def polite_pairs(held_out: int, seed: int = 0) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of `prompt`, `chosen` and `rejected` to train on, and others to look at after it."""
    import pyarrow.parquet as pq

    rows = [
        {
            "row_id": row["id"],
            "prompt": [{"role": "user", "content": "\n".join(filter(None, (row["instruction"], row["input"])))}],
            "chosen": [{"role": "assistant", "content": row["chosen"]}],
            "rejected": [{"role": "assistant", "content": row["rejected"]}],
        }
        for row in pq.read_table(DATA).to_pylist()
        if row["chosen"].strip() != row["rejected"].strip()
    ]
    random.Random(seed).shuffle(rows)
    return rows[held_out:], rows[:held_out]


def preference_accuracy(tuned: Path, base: Path, handoff: Path) -> float:
    """Share of a folder's pairs whose chosen answer has gained more than the rejected one; a tie counts as wrong."""
    import numpy as np
    import torch

    from trainers.config import DpoConfig
    from trainers.data.folder import Base, open_handoff
    from trainers.data.plan import Plan
    from trainers.data.tokens import load_tokenizer, tokenise
    from trainers.model.likelihood import log_probabilities
    from trainers.model.loading import build_policy

    opened, config, device = open_handoff(handoff), DpoConfig(max_length=512), torch.device("cpu")
    tokens, _ = tokenise(opened, load_tokenizer(opened.base, None), config)
    plan = Plan(tokens, config, 0, together=2)
    logp = []
    for folder in (tuned, base):
        policy = build_policy(Base(str(folder)), config, device, 0)
        windows = map(plan.window, range(plan.steps))
        batches = (batch for window in windows for batch in plan.batches(window, np.zeros(len(window.rows))))
        logp.append(log_probabilities(policy, batches, len(plan.lengths), device))
    gained = (logp[0] - logp[1]).reshape(-1, 2)
    return float((gained[:, 0] > gained[:, 1]).double().mean())
