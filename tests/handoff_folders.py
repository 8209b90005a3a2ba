"""Hand-off folders for tests: a tiny real tokenizer under one of the templates of tests/trainers, and rows."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

TEMPLATES = Path(__file__).parent / "trainers" / "data" / "templates"
SPECIAL = {
    "llama3": ("<|begin_of_text|>", "<|eot_id|>", ("<|start_header_id|>", "<|end_header_id|>")),
    "chatml": (None, "<|im_end|>", ("<|im_start|>",)),
    "marked": (None, "<|im_end|>", ("<|im_start|>",)),
    "mistral": ("<s>", "</s>", ("[INST]", "[/INST]")),
    "gemma": ("<bos>", "<end_of_turn>", ("<start_of_turn>",)),
}
"""Beginning of text, end of turn, and what else is one token, by family."""

TEXT = ["Name three colours. Red, blue and yellow.", "What is 12 + 30? It is 42.", "Köln liegt am Rhein."] * 4


def tokenizer_of(family: str, template: str | None = None, *, pad: str | None = "<pad>"):
    """A byte-level BPE with the family's special tokens and chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bos, end, others = SPECIAL[family]
    specials = [token for token in ("<pad>", bos, end, *others) if token]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    text = template if template is not None else (TEMPLATES / f"{family}.jinja").read_text(encoding="utf-8")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=bos, eos_token=end, pad_token=pad, chat_template=text or None,
        extra_special_tokens=list(others),
    )  # fmt: skip


def talk(*contents: str, system: str | None = None) -> list[dict[str, str]]:
    """User and assistant in turn."""
    roles = ("user", "assistant")
    turns = [{"role": roles[i % 2], "content": content} for i, content in enumerate(contents)]
    return [{"role": "system", "content": system}, *turns] if system else turns


def write(folder: Path, columns: dict[str, list], tokenizer, *, trainer: str = "sft", **params) -> Path:
    """A folder of format version 1 with these columns; row ids are r0, r1, ..."""
    rows = len(next(iter(columns.values())))
    table = pa.table({"row_id": [f"r{i}" for i in range(rows)], **columns})
    (folder / "data").mkdir(parents=True)
    tokenizer.save_pretrained(folder / "base")
    data = folder / "data" / "part-00000.parquet"
    pq.write_table(table, data)
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    record = {
        "version": 1, "name": "t", "trainer": trainer, "params": params, "seed": 1,
        "base": {"model": str(folder / "base"), "revision": None, "chat_template": None},
        "data": {"fingerprint": "f", "rows": rows, "columns": table.column_names,
                 "files": [{"path": "data/part-00000.parquet", "rows": rows, "sha256": digest}]},
        "hashes": {},
    }  # fmt: skip
    (folder / "handoff.json").write_text(json.dumps(record), encoding="utf-8")
    return folder
