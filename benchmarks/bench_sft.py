"""Fine-tuning throughput: `trainers.sft` against TRL's SFTTrainer with packing; same rows, model, packs and optimiser.

    python benchmarks/bench_sft.py [--shape small|1b|3b] [--runs 3] [--steps 8] [--dtype float32]

Both train in a process of their own. Tokens per second are those of the median step, without the first two. TRL runs
once with one pack in a forward pass and once with eight, and counts with its better figure. `small` is for a CPU; the
others are for a GPU, in bfloat16 with packs of 4,096 tokens and fresh weights, TRL with flash attention and Liger's
kernels where they are installed. Goal on a GPU: 1.15 times TRL's tokens a second at no more memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from _measure import TESTS, Measured, headline, measured, medians, script, show, verdict

sys.path.insert(0, str(TESTS))

WARM_UP = 2


@dataclass(frozen=True)
class Case:
    """A model of fresh weights and the packs that it is trained on: `rows` talks of about `words` words a turn."""

    shape: dict[str, Any]
    rows: int
    words: int
    packs: int
    length: int
    dtype: str


def llama(hidden: int, intermediate: int, layers: int, heads: int, kv_heads: int, vocabulary: int) -> dict[str, Any]:
    """The configuration of a Llama with tied embeddings."""
    return {
        "vocab_size": vocabulary, "hidden_size": hidden, "intermediate_size": intermediate, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
    }  # fmt: skip


CASES = {
    "small": Case(llama(192, 512, 4, 6, 6, 1280), 3000, 9, 48, 256, "float32"),  # the embedded model's, 2 M
    "1b": Case(llama(2048, 8192, 16, 32, 8, 128_256), 2000, 300, 16, 4096, "bfloat16"),  # Llama-3.2-1B's
    "3b": Case(llama(3072, 8192, 28, 24, 8, 128_256), 2000, 300, 16, 4096, "bfloat16"),  # Llama-3.2-3B's
}
ENVIRONMENT = {"HF_HUB_OFFLINE": "1"}


def prepare(folder: Path, case: Case, steps: int) -> Path:
    """A hand-off folder of talks, and the configuration of a model whose weights are drawn."""
    import torch
    import transformers
    from tiny_model import build_tokenizer
    from tuning import talks, write_handoff

    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    base = folder / "base"
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**case.shape)).save_pretrained(base)
    build_tokenizer().save_pretrained(base)
    params = {"max_length": case.length, "batch_size": case.packs, "max_steps": steps, "learning_rate": 1e-4}
    rows = talks(case.rows, words=case.words)
    return write_handoff(folder / "handoff", base, rows, **params, dtype=case.dtype, train_on="all", epochs=steps)


def ours(handoff: Path) -> Measured:
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "trainers.sft", str(handoff), "--out", out, "--json"]
        return measured(command, env={**ENVIRONMENT, "PYTHONPATH": str(TESTS.parent)})


def theirs(handoff: Path, packs: int) -> Measured:
    return measured(script("bench_sft.py", "--trl", handoff, "--packs", packs), env=ENVIRONMENT)


def steps_of(run: Measured) -> list[dict[str, Any]]:
    """What a side told of its steps, without the first."""
    lines = [json.loads(line) for line in run.output.splitlines() if line.startswith('{"event": "step"')]
    return lines[WARM_UP:]


def pace(run: Measured) -> float:
    """Tokens per second of the median step."""
    return statistics.median(step["tokens_per_s"] for step in steps_of(run))


def train_with_trl(handoff: Path, packs: int) -> None:
    """The training that `handoff` describes, by TRL, telling of each step as `trainers.sft --json` does."""
    import importlib.util

    import _trl
    import pyarrow.parquet as pq
    import torch
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

    model, gpu = _trl.load(opened.base.model), torch.cuda.is_available()
    with tempfile.TemporaryDirectory() as out:
        options = trl.SFTConfig(
            output_dir=out, max_steps=config.max_steps, per_device_train_batch_size=packs,
            gradient_accumulation_steps=config.batch_size // packs, max_length=config.max_length, packing=True,
            use_cpu=not gpu, use_liger_kernel=gpu and importlib.util.find_spec("liger_kernel") is not None,
            learning_rate=config.learning_rate, lr_scheduler_type="cosine", bf16=config.dtype == "bfloat16",
            gradient_checkpointing=False, report_to="none", disable_tqdm=True, save_strategy="no",
            logging_strategy="no", include_num_input_tokens_seen="all",
        )  # fmt: skip
        trainer = trl.SFTTrainer(
            model=model,
            args=options,
            train_dataset=rows,
            processing_class=tokenizer,
            callbacks=[_trl.clock(model, statistics.mean(map(len, rows["input_ids"])))],
        )
        trainer.train()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--shape", choices=CASES, default="small")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="instead of the shape's own")
    parser.add_argument("--trl", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--packs", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.trl:
        sys.path.insert(0, str(TESTS.parent))
        train_with_trl(given.trl, given.packs)
        return
    case = replace(CASES[given.shape], dtype=given.dtype or CASES[given.shape].dtype)
    headline(f"Fine-tuning, shape {given.shape}, {case.packs} packs of {case.length} tokens a step, {case.dtype}")
    with tempfile.TemporaryDirectory() as folder:
        handoff = prepare(Path(folder), case, given.steps)
        sides = {
            "trainers.sft": lambda: ours(handoff),
            "TRL, 1 pack a pass": lambda: theirs(handoff, 1),
            "TRL, 8 packs a pass": lambda: theirs(handoff, 8),
        }
        found = dict(zip(sides, medians(given.runs, *sides.values()), strict=True))
    rows = [[name, pace(run), *used(run), run.wall_s, run.cpu_s] for name, run in found.items()]
    show(["", "tokens/s", "MFU %", "peak MiB", "wall s", "CPU s"], rows)
    first, *others = (pace(run) for run in found.values())
    goal = 1.0 if given.shape == "small" else 1.15
    verdict("times the tokens per second of TRL", first / max(others), goal, at_least=True)


def used(run: Measured) -> tuple[float, float]:
    """Share of the GPU's peak in per cent (NaN on a CPU), and memory at its peak in MiB."""
    last = steps_of(run)[-1]
    return 100 * (last["mfu"] if last["mfu"] is not None else float("nan")), last["peak_memory"] / 2**20


if __name__ == "__main__":
    main()
