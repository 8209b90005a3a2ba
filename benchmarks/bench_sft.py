"""Fine-tuning throughput: `trainers.sft` against TRL's SFTTrainer with packing; same rows, model, packs and optimiser.

    python benchmarks/bench_sft.py [--runs 3] [--steps 8] [--dtype float32]

Both train in a process of their own. Tokens per second are those of the median step, without the first two. TRL runs
once with one pack in a forward pass and once with eight, and counts with its better figure.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from _measure import TESTS, Measured, headline, measured, medians, script, show, verdict

sys.path.insert(0, str(TESTS))

ROWS, PACKS, LENGTH = 3000, 48, 256
WARM_UP = 2
SHAPE = {
    "vocab_size": 1280, "hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4,
    "num_attention_heads": 6, "num_key_value_heads": 6, "max_position_embeddings": 1024, "tie_word_embeddings": True,
}  # fmt: skip
"""The embedded model's: 2.0 million parameters."""
ENVIRONMENT = {"HF_HUB_OFFLINE": "1"}


def prepare(folder: Path, steps: int, dtype: str) -> Path:
    """A hand-off folder of short talks, with a model of fresh weights beside it."""
    import torch
    import transformers
    from tiny_model import build_tokenizer
    from tuning import talks, write_handoff

    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    base = folder / "base"
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE)).save_pretrained(base)
    build_tokenizer().save_pretrained(base)
    params = {"max_length": LENGTH, "batch_size": PACKS, "max_steps": steps, "learning_rate": 1e-3, "dtype": dtype}
    return write_handoff(folder / "handoff", base, talks(ROWS), **params, train_on="all", epochs=steps)


def ours(handoff: Path) -> Measured:
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "trainers.sft", str(handoff), "--out", out, "--json"]
        return measured(command, env={**ENVIRONMENT, "PYTHONPATH": str(TESTS.parent)})


def theirs(handoff: Path, packs: int) -> Measured:
    return measured(script("bench_sft.py", "--trl", handoff, "--packs", packs), env=ENVIRONMENT)


def pace(run: Measured) -> float:
    """Tokens per second of the median step."""
    steps = [json.loads(line) for line in run.output.splitlines() if line.startswith('{"event": "step"')]
    return statistics.median(step["tokens_per_s"] for step in steps[WARM_UP:])


def train_with_trl(handoff: Path, packs: int) -> None:
    """The training that `handoff` describes, by TRL, telling of each step as `trainers.sft --json` does."""
    import pyarrow.parquet as pq
    import transformers
    import trl
    from datasets import Dataset

    from trainers.config import SftConfig, from_params
    from trainers.data.folder import open_handoff

    opened = open_handoff(handoff)
    config = from_params(SftConfig, opened.params)
    tokenizer = transformers.AutoTokenizer.from_pretrained(opened.base.model)
    talks = pq.read_table(handoff / opened.files[0].path)["messages"].to_pylist()
    texts = [tokenizer.apply_chat_template(talk, tokenize=False) for talk in talks]
    rows = Dataset.from_dict({"input_ids": tokenizer(texts, add_special_tokens=False)["input_ids"]})

    class Clock(transformers.TrainerCallback):
        began, seen = 0.0, 0.0

        def on_step_begin(self, *_, **__):
            self.began = time.perf_counter()

        def on_step_end(self, _, state, __, **___):
            tokens, seconds = state.num_input_tokens_seen - self.seen, time.perf_counter() - self.began
            self.seen = state.num_input_tokens_seen
            print(json.dumps({"event": "step", "tokens": tokens, "tokens_per_s": tokens / seconds}))

    with tempfile.TemporaryDirectory() as out:
        options = trl.SFTConfig(
            output_dir=out, max_steps=config.max_steps, per_device_train_batch_size=packs,
            gradient_accumulation_steps=PACKS // packs, max_length=LENGTH, packing=True, use_cpu=True,
            learning_rate=config.learning_rate, lr_scheduler_type="cosine", bf16=config.dtype == "bfloat16",
            gradient_checkpointing=False, report_to="none", disable_tqdm=True, save_strategy="no",
            logging_strategy="no", include_num_input_tokens_seen="all",
        )  # fmt: skip
        model = transformers.AutoModelForCausalLM.from_pretrained(opened.base.model, dtype="float32")
        trainer = trl.SFTTrainer(
            model=model, args=options, train_dataset=rows, processing_class=tokenizer, callbacks=[Clock()]
        )
        trainer.train()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--trl", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--packs", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.trl:
        sys.path.insert(0, str(TESTS.parent))
        train_with_trl(given.trl, given.packs)
        return
    headline(f"Fine-tuning, 2.0 M parameters, {PACKS} packs of {LENGTH} tokens a step, {given.dtype}")
    with tempfile.TemporaryDirectory() as folder:
        handoff = prepare(Path(folder), given.steps, given.dtype)
        sides = {
            "trainers.sft": lambda: ours(handoff),
            "TRL, 1 pack a pass": lambda: theirs(handoff, 1),
            "TRL, 8 packs a pass": lambda: theirs(handoff, 8),
        }
        found = dict(zip(sides, medians(given.runs, *sides.values()), strict=True))
    rows = [[name, pace(run), run.wall_s, run.cpu_s, run.peak_mib] for name, run in found.items()]
    show(["", "tokens/s", "wall s", "CPU s", "peak MiB"], rows)
    first, *others = (pace(run) for run in found.values())
    verdict("times the tokens per second of TRL", first / max(others), 1.0, at_least=True)


if __name__ == "__main__":
    main()
