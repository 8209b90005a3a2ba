"""What the benchmarks of trainers share on TRL's side: the model as it is best for TRL, and steps told as ours are."""

from __future__ import annotations

import json
import time
from typing import Any


def load(base: str) -> Any:
    """The model in float32, with flash attention where it is installed for the GPU that is here."""
    import importlib.util

    import torch
    import transformers

    flash = torch.cuda.is_available() and importlib.util.find_spec("flash_attn") is not None
    attention = "flash_attention_2" if flash else "sdpa"
    return transformers.AutoModelForCausalLM.from_pretrained(base, dtype="float32", attn_implementation=attention)


def clock(model: Any, mean_length: float) -> Any:
    """A callback that tells of each step as `--json` does: tokens per second, MFU, peak memory."""
    import torch
    import transformers

    from trainers.loop.metrics import Work, peak_memory

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    work = Work(model, mean_length, device, 1)

    class Clock(transformers.TrainerCallback):
        began, seen = 0.0, 0.0

        def on_step_begin(self, *_, **__):
            self.began = time.perf_counter()

        def on_step_end(self, _, state, __, **___):
            tokens, seconds = state.num_input_tokens_seen - self.seen, time.perf_counter() - self.began
            self.seen = state.num_input_tokens_seen
            rate = tokens / seconds
            record = {"tokens_per_s": rate, "mfu": work.mfu(rate), "peak_memory": peak_memory(device)}
            print(json.dumps({"event": "step", "tokens": tokens, **record}))

    return Clock()
