"""A toy of alignment: short answers of a tiny GPT-2, and two rewards in conflict whose Pareto front is known.

One reward likes kind words, one long words; no word is both, and an answer has eight words at most. Of an answer with
shares x and y of them the rewards are sqrt(x) and sqrt(y), so the best that can be had lies on a quarter circle: on the
polygon through the nine answers that waste no word. `python two_rewards.py` is the reward command.
"""

from __future__ import annotations

import json
import math
import random
import sys
from itertools import pairwise
from pathlib import Path

LENGTH = 8
KIND = ["kind", "warm", "glad"]
LONG = ["extraordinarily", "notwithstanding", "characteristics"]
OTHER = ["a", "of", "to", "in", "it", "is", "on", "by", "or", "at"]
SPECIAL = ["<pad>", "<end>"]

FRONT = [(math.sqrt(kind / LENGTH), math.sqrt(1 - kind / LENGTH)) for kind in range(LENGTH + 1)]
"""Corners of the front, from all long to all kind: mean rewards of policies can be anywhere on the lines between."""


def distance(kind: float, long: float) -> float:
    """From mean rewards to the nearest point of the front."""
    return min(_to_segment((kind, long), *ends) for ends in pairwise(FRONT))


def rewards(response: str) -> dict[str, float]:
    """Of one answer."""
    words = response.split()
    return {
        "kind": math.sqrt(sum(word in KIND for word in words) / LENGTH),
        "long": math.sqrt(sum(word in LONG for word in words) / LENGTH),
    }


def write_toy(folder: Path, seed: int, *, prompts: int = 64, **params: object) -> Path:
    """A hand-off folder for `trainers.pama`: weights and draws from `seed`; no price on distance."""
    from tuning import write_handoff

    chance = random.Random(0)
    rows = [{"row_id": f"p{i}", "prompt": " ".join(chance.choices(OTHER, k=3))} for i in range(prompts)]
    command = [sys.executable, str(Path(__file__).resolve())]
    defaults = {
        "rewards": [{"use": "command", "names": ["kind", "long"], "command": command}],
        "batch_size": prompts, "max_length": 16, "max_new_tokens": LENGTH, "learning_rate": 3e-3, "kl_coefficient": 0.0,
    }  # fmt: skip
    handoff = write_handoff(folder / "handoff", build_base(folder / "base", seed), rows, **defaults | params)
    record = json.loads((handoff / "handoff.json").read_text())
    (handoff / "handoff.json").write_text(json.dumps({**record, "trainer": "pama", "seed": seed}))
    return handoff


def build_base(folder: Path, seed: int) -> Path:
    """A GPT-2 of two layers whose tokens are the toy's words."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = [*SPECIAL, *KIND, *LONG, *OTHER]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=SPECIAL[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    transformers.utils.logging.disable_progress_bar()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=SPECIAL[0], eos_token=SPECIAL[1]
    ).save_pretrained(folder)
    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        vocab_size=len(words), n_positions=16, n_embd=32, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=1
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def _to_segment(point: tuple[float, float], start: tuple[float, float], end: tuple[float, float]) -> float:
    along = (end[0] - start[0], end[1] - start[1])
    share = sum((p - s) * a for p, s, a in zip(point, start, along, strict=True)) / (along[0] ** 2 + along[1] ** 2)
    share = min(max(share, 0), 1)
    return math.hypot(*(p - s - share * a for p, s, a in zip(point, start, along, strict=True)))


if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps({"id": asked["id"], "rewards": rewards(asked["response"])}), flush=True)
