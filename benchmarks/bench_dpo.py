"""Preference optimisation: what it teaches, seed by seed, and its throughput against TRL's DPOTrainer.

    python benchmarks/bench_dpo.py [--seeds 5] [--shape small|1b|3b] [--runs 3] [--steps 8]

Held-out accuracy: a tiny model of fresh weights learns politeness from pairs of the shared data, and is asked of 220
others which answer has gained more. Throughput, by the shapes of bench_sft.py: both train in a process of their own, on
the same pairs and about as many a step, with the reference's log-probabilities computed before the first step; tokens
per second are those of the median step, padding not counted. TRL counts with the better of two sizes of its passes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from _measure import TESTS, Measured, headline, measured, medians, script, show, verdict
from bench_sft import CASES, ENVIRONMENT, Case, pace, used

sys.path.insert(0, str(TESTS))

HELD_OUT = 220
LEARNING = {"learning_rate": 3e-3, "epochs": 3, "batch_size": 2, "max_length": 512}
SIZES = {"small": (4, 16), "1b": (1, 4), "3b": (1, 2)}
"""Pairs of TRL's forward passes, by shape."""


def held_out_accuracy(seed: int) -> float:
    """Train on one split of the shared data, from one model's fresh weights, and judge the rest."""
    from polite import polite_pairs, preference_accuracy
    from tiny_model import build_tiny_model
    from tuning import write_handoff

    rows, others = polite_pairs(HELD_OUT, seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        base = build_tiny_model(folder / "base", seed=seed)
        seen = write_handoff(folder / "seen", base, rows, trainer="dpo", **LEARNING)
        unseen = write_handoff(folder / "unseen", base, others, trainer="dpo")
        ours(seen, folder / "out")
        return preference_accuracy(folder / "out/model", base, unseen)


def prepare(folder: Path, case: Case, steps: int) -> Path:
    """A hand-off folder of pairs, with a model of fresh weights beside it."""
    import torch
    import transformers
    from tiny_model import build_tokenizer
    from tuning import pairs, write_handoff

    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    base = folder / "base"
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**case.shape)).save_pretrained(base)
    build_tokenizer().save_pretrained(base)
    params = {"max_length": case.length, "batch_size": case.packs // 2, "max_steps": steps, "dtype": case.dtype}
    rows = pairs(case.rows, words=case.words)
    return write_handoff(folder / "handoff", base, rows, trainer="dpo", epochs=steps, **params)


def ours(handoff: Path, out: Path) -> Measured:
    command = [sys.executable, "-m", "trainers.dpo", str(handoff), "--out", str(out), "--json"]
    return measured(command, env={**ENVIRONMENT, "PYTHONPATH": str(TESTS.parent)})


def fresh(handoff: Path) -> Measured:
    with tempfile.TemporaryDirectory() as out:
        return ours(handoff, Path(out))


def theirs(handoff: Path, size: int, pairs: int) -> Measured:
    return measured(script("bench_dpo.py", "--trl", handoff, "--size", size, "--pairs", pairs), env=ENVIRONMENT)


def train_with_trl(handoff: Path, size: int, pairs: int) -> None:
    """The training that `handoff` describes by TRL, `pairs` a step, `size` in a forward pass."""
    import _trl
    import pyarrow.parquet as pq
    import torch
    import transformers
    import trl
    from datasets import Dataset

    from trainers.config import DpoConfig, from_params
    from trainers.data.folder import open_handoff
    from trainers.data.tokens import scan

    opened = open_handoff(handoff)
    config = from_params(DpoConfig, opened.params)
    tokenizer, model = transformers.AutoTokenizer.from_pretrained(opened.base.model), _trl.load(opened.base.model)
    rows = pq.read_table(handoff / opened.files[0].path, columns=["prompt", "chosen", "rejected"]).to_pylist()
    _, found = scan(opened, tokenizer, config)
    with tempfile.TemporaryDirectory() as out:
        options = trl.DPOConfig(
            output_dir=out, max_steps=config.max_steps, per_device_train_batch_size=size, num_train_epochs=99,
            gradient_accumulation_steps=pairs // size, max_length=config.max_length,
            use_cpu=not torch.cuda.is_available(), bf16=config.dtype == "bfloat16", beta=config.beta,
            learning_rate=config.learning_rate, precompute_ref_log_probs=True, gradient_checkpointing=False,
            report_to="none", disable_tqdm=True, save_strategy="no", logging_strategy="no",
            include_num_input_tokens_seen="non_padding",
        )  # fmt: skip
        trl.DPOTrainer(
            model=model,
            args=options,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            callbacks=[_trl.clock(model, found.tokens / (2 * found.kept))],
        ).train()


def show_accuracy(seeds: int) -> None:
    """Held-out accuracy over seeds, with twice its standard error."""
    found = [held_out_accuracy(seed) for seed in range(seeds)]
    error = statistics.stdev(found) / seeds**0.5
    show(["seed", "held-out accuracy"], [[str(seed), f"{accuracy:.3f}"] for seed, accuracy in enumerate(found)])
    verdict(
        f"held-out accuracy, mean of {seeds} seeds, +- {2 * error:.3f}", statistics.mean(found), 0.75, at_least=True
    )


def show_pace(shape: str, runs: int, steps: int) -> None:
    """Throughput beside TRL's."""
    case = CASES[shape]
    with tempfile.TemporaryDirectory() as folder:
        handoff = prepare(Path(folder), case, steps)
        pairs = pairs_a_step(handoff)
        small, large = SIZES[shape]
        sides = {
            "trainers.dpo": lambda: fresh(handoff),
            f"TRL, {small} pairs a pass": lambda: theirs(handoff, small, pairs),
            f"TRL, {large} pairs a pass": lambda: theirs(handoff, large, pairs),
        }
        found = dict(zip(sides, medians(runs, *sides.values()), strict=True))
    rows = [[name, pace(run), *used(run), run.wall_s, run.cpu_s] for name, run in found.items()]
    show(["", "tokens/s", "MFU %", "peak MiB", "wall s", "CPU s"], rows)
    first, *others = (pace(run) for run in found.values())
    verdict("times the tokens per second of TRL", first / max(others), 1.0 if shape == "small" else 1.15, at_least=True)


def pairs_a_step(handoff: Path) -> int:
    """How many pairs the packs of a step hold on average, in sixteens."""
    from trainers.config import DpoConfig, from_params
    from trainers.data.folder import open_handoff
    from trainers.data.plan import Plan
    from trainers.data.tokens import load_tokenizer, tokenise

    opened = open_handoff(handoff)
    config = from_params(DpoConfig, opened.params)
    tokens, _ = tokenise(opened, load_tokenizer(opened.base, None), config)
    plan = Plan(tokens, config, opened.seed, together=2)
    return max(16, round(len(plan.lengths) / 2 / plan.steps_per_epoch / 16) * 16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="0: throughput alone")
    parser.add_argument("--shape", choices=CASES, default="small")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    for name, kind in (("--trl", Path), ("--size", int), ("--pairs", int)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    given = parser.parse_args()
    sys.path.insert(0, str(TESTS.parent))
    if given.trl:
        train_with_trl(given.trl, given.size, given.pairs)
        return
    if given.seeds:
        headline("Politeness by DPO, a tiny model of fresh weights, three epochs")
        show_accuracy(given.seeds)
    headline(f"DPO, shape {given.shape}, {CASES[given.shape].dtype}")
    show_pace(given.shape, given.runs, given.steps)


if __name__ == "__main__":
    main()
