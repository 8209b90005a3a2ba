"""Tokenising and packing chats for training, against TRL's preparation of the same rows: rows a second, memory, masks.

The rows are Alpaca's 52,002 where the shared data lies beside the repository, and made-up ones of its shape elsewhere.
Each side is a process of its own; seconds are those of the work, without imports and without loading the model that TRL
wants. TRL takes the first rows only (`--trl-rows`), as its cost is by the row.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _data import rows as made_up_rows
from _measure import HERE, headline, measured, script, show, verdict

sys.path.insert(0, str(HERE.parent))

ALPACA = HERE.parent.parent / "shared" / "data" / "instructions" / "alpaca_52k.parquet"
TEMPLATE = HERE.parent / "tests" / "trainers" / "data" / "templates" / "marked.jinja"
LENGTH = 1024
ROWS = 52_002
IGNORED = -100
"""The label of a token that is no loss target, as torch has it."""


def instructions(n: int) -> Iterator[dict[str, str]]:
    """Records of instruction, input and output."""
    if ALPACA.exists():
        return iter(pq.read_table(ALPACA, columns=["instruction", "input", "output"]).slice(0, n).to_pylist())
    return made_up_rows(n, seed=7)


def prepare(folder: Path, n: int) -> None:
    """A hand-off folder with a byte-level BPE of 8,000 tokens that is trained on every fifth row."""
    talks = []
    for record in instructions(n):
        asked = "\n".join(filter(None, (record["instruction"], record["input"])))
        talks.append([{"role": "user", "content": asked}, {"role": "assistant", "content": record["output"]}])
    (folder / "data").mkdir(parents=True)
    file = folder / "data" / "part-00000.parquet"
    turn = pa.struct([("role", pa.string()), ("content", pa.string())])
    names = [f"{i:06d}" for i in range(len(talks))]
    pq.write_table(pa.table({"row_id": names, "messages": pa.array(talks, pa.list_(turn))}), file)
    tokenizer(turn["content"] for talk in talks[::5] for turn in talk).save_pretrained(folder / "base")
    record = {
        "version": 1, "name": "bench", "trainer": "sft", "params": {"max_length": LENGTH, "over_long": "truncate"},
        "base": {"model": str(folder / "base"), "revision": None, "chat_template": None}, "seed": 0,
        "data": {
            "fingerprint": "bench", "rows": len(talks), "columns": ["row_id", "messages"],
            "files": [{"path": "data/part-00000.parquet", "rows": len(talks),
                       "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}],
        },
    }  # fmt: skip
    (folder / "handoff.json").write_text(json.dumps(record), encoding="utf-8")


def tokenizer(texts: Iterator[str]) -> Any:
    """A tokenizer with a ChatML template that marks the assistant's turns."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet, specials = pre_tokenizers.ByteLevel.alphabet(), ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=8000, special_tokens=specials, initial_alphabet=alphabet, show_progress=False),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token="<|pad|>", eos_token="<|im_end|>", chat_template=TEMPLATE.read_text("utf-8")
    )


def ours(folder: Path, masks: Path) -> dict[str, float]:
    """Setwright's side, in this process: rows to packs."""
    from trainers.config import SftConfig, from_params
    from trainers.data.folder import open_handoff
    from trainers.data.packing import best_fit, efficiency
    from trainers.data.tokens import load_tokenizer, tokenise

    handoff = open_handoff(folder)
    loaded = load_tokenizer(handoff.base, None)
    began, cpu = time.perf_counter(), cpu_seconds()
    tokens, _ = tokenise(handoff, loaded, from_params(SftConfig, handoff.params))
    lengths = np.diff(tokens.offsets)
    packs = len(best_fit(lengths, LENGTH)[1]) - 1
    took = {"seconds": time.perf_counter() - began, "cpu": cpu_seconds() - cpu}
    np.savez(masks, ids=tokens.ids, mask=tokens.mask, offsets=tokens.offsets)
    return {"rows": len(lengths), **took, "packs": packs, "fill": efficiency(lengths, packs, LENGTH)}


def trl(folder: Path, masks: Path, n: int) -> dict[str, float]:
    """TRL's side, in this process: what SFTTrainer does before its first step; the masks from a run without packing."""
    from datasets import Dataset

    data = Dataset.from_list(pq.read_table(folder / "data", columns=["messages"]).slice(0, n).to_pylist())
    trainer, _ = trl_trainer(folder, data, packing=False)
    rows = trainer.train_dataset
    ids, labels = ([np.array(row) for row in rows[name]] for name in ("input_ids", "labels"))
    offsets = np.cumsum([0, *map(len, ids)])
    np.savez(masks, ids=np.concatenate(ids), mask=np.concatenate(labels) != IGNORED, offsets=offsets)
    trainer, took = trl_trainer(folder, data, packing=True)
    packs = len(trainer.train_dataset)
    return {"rows": n, **took, "packs": packs, "fill": float(offsets[-1] / packs / LENGTH)}


def trl_trainer(folder: Path, data: Any, *, packing: bool) -> tuple[Any, dict[str, float]]:
    """An SFTTrainer whose data is prepared, and the seconds that took."""
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel
    from trl import SFTConfig, SFTTrainer

    loaded = AutoTokenizer.from_pretrained(folder / "base")
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(loaded), n_layer=1, n_head=2, n_embd=32, n_positions=LENGTH))
    options = SFTConfig(
        output_dir=str(folder / "trl"), report_to=[], use_cpu=True, bf16=False, max_length=LENGTH, packing=packing,
        assistant_only_loss=True, dataset_num_proc=os.cpu_count(),
    )  # fmt: skip
    began, cpu = time.perf_counter(), cpu_seconds()
    trainer = SFTTrainer(model=model, args=options, train_dataset=data, processing_class=loaded)
    return trainer, {"seconds": time.perf_counter() - began, "cpu": cpu_seconds() - cpu}


def cpu_seconds() -> float:
    """CPU time of this process's threads and of its children that have ended."""
    return sum(os.times()[:4])


def equal_rows(ours: Path, theirs: Path, n: int) -> int:
    """Of the first `n` rows, how many have the same ids and the same mask on both sides."""
    sides = [dict(np.load(side)) for side in (ours, theirs)]  # an open archive reads an array anew at each access
    rows = [
        [(a["ids"][i:j].tolist(), a["mask"][i:j].tolist()) for i, j in itertools.pairwise(a["offsets"][: n + 1])]
        for a in sides
    ]
    return sum(one == other for one, other in zip(*rows, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--trl-rows", type=int, default=20_000)
    parser.add_argument("--side", nargs=2, metavar=("SIDE", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        side, folder = options.side[0], Path(options.side[1])
        masks = folder / f"{side}.npz"
        print(json.dumps(ours(folder, masks) if side == "setwright" else trl(folder, masks, options.trl_rows)))
        return
    headline("Tokenise and pack chats for training")
    with tempfile.TemporaryDirectory() as scratch:
        compare(Path(scratch) / "handoff", options.rows, min(options.rows, options.trl_rows))


def compare(folder: Path, n: int, trl_rows: int) -> None:
    """Run both sides and print what they took."""
    prepare(folder, n)
    table, rates, memory = [], {}, {}
    for side in ("setwright", "trl"):
        run = measured(script("bench_tokenise.py", "--side", side, folder, "--trl-rows", trl_rows), timeout=3600)
        took = json.loads(run.output.splitlines()[-1])
        rates[side], memory[side] = took["rows"] / took["seconds"], run.peak_mib
        table.append(
            [side, took["rows"], took["seconds"], took["cpu"], rates[side], run.peak_mib, took["packs"], took["fill"]]
        )
    show(["side", "rows", "seconds", "CPU s", "rows/s", "MiB", "packs", "fill"], table)
    print(f"{'Alpaca' if ALPACA.exists() else 'Made-up rows'}; MiB: the largest single process of a side\n")
    equal = equal_rows(folder / "setwright.npz", folder / "trl.npz", trl_rows)
    verdict("rows/s over TRL's", rates["setwright"] / rates["trl"], 6, at_least=True, unit="x")
    verdict("peak memory", memory["setwright"], 400, unit=" MiB")
    verdict("share of slots filled", table[0][-1], 0.995, at_least=True)
    verdict(f"rows of TRL's {trl_rows:,} with equal ids and masks", equal, trl_rows, at_least=True)


if __name__ == "__main__":
    main()
