"""Deita scores per second of a build, against one prompt at a time, in fp32 on the same rows with the same model.

    python benchmarks/bench_deita.py [--rows 1000] [--model FOLDER] [--runs 3]

One at a time is done twice: as the reference does it (hkust-nlp/deita, `Scorer.infer_score`: `generate` of two tokens,
the softmax over six of the first one's scores), and by a bare forward pass with the head at the last position alone.
The build runs `score: deita_complexity` and `score: deita_quality`, every call recorded in the ledger. Each side is a
process of its own and is timed when its libraries are loaded and it has scored a few other rows; the build's seconds
hold the loading of its weights. Goals: at least 8 times as many scores per second as the reference's loop, largest
difference of a score below 1e-3. The model is the one inside the package, unless it is named. Beside them stands what
the machine allows: as many scores as its fastest float32 products, of square matrices, would give, if what the prompts
of a scorer begin with cost nothing, and attention, norms and tokenising neither.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from _data import rows, write_jsonl
from _measure import headline, measured, medians, script, show, verdict

TIMES, DIFFERENCE = 8, 1e-3
WARM_UP = 16
LONGEST = 200  # characters of a response
WEIGHTS = Path(__file__).parents[1] / "engine" / "models" / "weights"
SPEC = """
version: 1
name: deita
models: {{scorer: {{use: transformers, model: "{model}", params: {{dtype: float32}}}}}}
tables:
  pool:
    source: {data}
    params: {{shape: raw}}
    scores: [{{score: deita_complexity, model: scorer}}, {{score: deita_quality, model: scorer}}]
"""
QUERY = "SELECT complexity, quality FROM pool ORDER BY number"


def ours(folder: Path, model: str) -> tuple[float, list[list[float]]]:
    """A build in this process: its seconds, and both scores of each row."""
    from engine.builds import build
    from engine.catalog import connect
    from engine.ledger import Ledger
    from engine.spec.load import load_spec
    from engine.store import Store

    seconds = 0.0
    for data in ("warm_up", "rows"):
        spec = folder / f"{data}.yaml"
        spec.write_text(SPEC.format(model=model, data=f"{data}.jsonl"))
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            home = Path(temporary)
            report = build(load_spec(spec), home)
            assert report.exit_code == 0, report.steps
            seconds = max(step["seconds"] for step in report.steps)
            ledger = Ledger(home)
            con = connect(Store(home), ledger, "deita")
            scores = [list(row) for row in con.sql(QUERY).fetchall()]
            con.close()
            ledger.close()
    return seconds, scores


def one_at_a_time(folder: Path, model: str, way: str) -> tuple[float, list[list[float]]]:
    """A loop over the prompts: its seconds, and both scores of each row."""
    import torch
    import transformers

    from engine.operators.scorers._deita import COMPLEXITY, DIGITS, QUALITY

    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    network = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    digits = [tokenizer.encode(digit, add_special_tokens=False)[-1] for digit in DIGITS]

    def generated(ids: torch.Tensor) -> torch.Tensor:
        return network.generate(
            ids, max_new_tokens=2, do_sample=False, return_dict_in_generate=True, output_scores=True
        ).scores[0][0]

    def forward(ids: torch.Tensor) -> torch.Tensor:
        return network(ids, logits_to_keep=1).logits[0, -1]

    def score(prompt: str) -> float:
        logits = {"generate": generated, "forward": forward}[way](tokenizer.encode(prompt, return_tensors="pt"))
        return float(logits[digits].softmax(-1) @ torch.arange(1.0, 7.0))

    scores, began = [], 0.0
    with torch.inference_mode():
        for data in ("warm_up", "rows"):
            records = [json.loads(line) for line in (folder / f"{data}.jsonl").read_text().splitlines()]
            began = time.perf_counter()
            scores = [[score(COMPLEXITY.format(**r)), score(QUALITY.format(**r))] for r in records]
    return time.perf_counter() - began, scores


def limit(folder: Path, model: Path) -> float:
    """Scores per second if the products of all tokens that prompts don't share ran like those of square matrices."""
    import numpy as np
    import transformers

    from engine.operators.scorers._deita import COMPLEXITY, QUALITY

    side = np.random.default_rng(0).standard_normal((2048, 2048), np.float32)
    side @ side
    began = time.perf_counter()
    for _ in range(8):
        side @ side
    rate = 8 * 2 * 2048**3 / (time.perf_counter() - began)
    shape = transformers.AutoConfig.from_pretrained(model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    records = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    tokens = 0
    for prompt in (COMPLEXITY, QUALITY):
        ids = [tokenizer.encode(prompt.format(**record)) for record in records]
        tokens += sum(map(len, ids)) - len(os.path.commonprefix(ids)) * len(ids)  # noqa: RUF071  of token ids, not paths
    attention = 2 * shape.hidden_size * (shape.num_attention_heads + shape.num_key_value_heads) * shape.head_dim
    layer = attention + 3 * shape.hidden_size * shape.intermediate_size
    return rate * 2 * len(records) / (2 * layer * shape.num_hidden_layers * tokens)


def side(folder: str, model: str, way: str) -> None:
    """What a process of its own does and prints."""
    transformers_quiet()
    given = Path(folder)
    seconds, scores = ours(given, model) if way == "build" else one_at_a_time(given, model, way)
    print(json.dumps({"seconds": seconds, "scores": scores}))


def transformers_quiet() -> None:
    """No progress bars between the figures."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def write_rows(path: Path, count: int, seed: int) -> None:
    """Short rows: an instruction, and a response of about one sentence."""
    found = ((i, row) for i, row in enumerate(rows(count, seed)))
    write_jsonl(
        path,
        (
            {"number": i, "instruction": r["instruction"], "response": r["output"].partition(". ")[0][:LONGEST]}
            for i, r in found
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--model", type=Path, default=WEIGHTS)
    parser.add_argument("--side", nargs=3, metavar=("FOLDER", "MODEL", "WAY"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        side(*args.side)
        return
    if not (args.model / "config.json").is_file():
        sys.exit(f"{args.model} holds no model: name another by --model")
    headline(f"deita scores of {args.rows:,} short rows, two a row; medians of {args.runs}")
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder) / "warm_up.jsonl", WARM_UP, seed=1)
        write_rows(Path(folder) / "rows.jsonl", args.rows, seed=2)
        compare(folder, args)


def compare(folder: str, args: argparse.Namespace) -> None:
    """All sides by turns, and the verdicts."""
    ways = ("build", "generate", "forward")
    commands = [script("bench_deita.py", "--side", folder, args.model.resolve(), way) for way in ways]
    runs = medians(args.runs, *[lambda c=command: measured(c, timeout=1800) for command in commands])
    build, generate, forward = (run.json for run in runs)
    rates = [2 * args.rows / run.json["seconds"] for run in runs]
    apart = max(
        abs(a - b) for other in (generate, forward) for one, two in zip(build["scores"], other["scores"], strict=True)
        for a, b in zip(one, two, strict=True)
    )  # fmt: skip
    names = ("setwright build", "generate, one at a time", "forward, one at a time")
    show(
        ("", "scores/s", "times", "whole command s", "CPU s", "peak MiB"),
        [
            (n, r, rates[0] / r, run.wall_s, run.cpu_s, run.peak_mib)
            for n, r, run in zip(names, rates, runs, strict=True)
        ],
    )
    most = limit(Path(folder), args.model)
    print(f"\nThe machine's limit: {most:,.0f} scores/s, {most / rates[1]:.1f} times the reference's loop")
    verdict("scores/s against the reference's loop", rates[0] / rates[1], TIMES, at_least=True, unit=" times")
    verdict("largest difference of a score", apart, DIFFERENCE)


if __name__ == "__main__":
    main()
