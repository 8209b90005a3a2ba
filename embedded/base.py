"""`python -m embedded.base CORPUS OUT`: an untrained chat model, from which the recipe starts.

Here stand the tokenizer, the chat template and the shape of the model. What it is trained on is the corpus' business
(`corpus`), how it is trained the recipe's (`recipe.yaml`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

END, PAD = "<|end|>", "<|pad|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
VOCABULARY = 1280
TOKENIZER_ROWS = 60_000
"""Rows that the merges are learned from: more change none of the frequent ones."""

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|end|>' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

SHAPE: dict[str, Any] = {
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
    "max_position_embeddings": 1024,
    "tie_word_embeddings": True,
}
"""2.0 million parameters: what a CPU core trains on some twenty million tokens in an hour."""


def build_tokenizer(corpus: Path) -> PreTrainedTokenizerFast:
    """Byte-level BPE with a token for each digit; adds no special token by itself, and has no beginning of text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, END, *ROLES],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(corpus), trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        extra_special_tokens=list(ROLES),
        chat_template=CHAT_TEMPLATE,
        model_max_length=SHAPE["max_position_embeddings"],
        clean_up_tokenization_spaces=False,
    )


def build(corpus: Path, folder: Path, seed: int = 17) -> None:
    """Write tokenizer, configuration and weights drawn from `seed` to `folder`."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    tokenizer = build_tokenizer(corpus)
    torch.manual_seed(seed)
    ends: dict[str, Any] = {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
    }
    config = LlamaConfig(vocab_size=len(tokenizer), **SHAPE, **ends)
    model = LlamaForCausalLM(config)  # type: ignore[no-untyped-call]
    model.generation_config = GenerationConfig(do_sample=True, temperature=1.0, **ends)  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _texts(corpus: Path) -> Iterator[str]:
    """Every turn and every plain text of the first rows."""
    seen = 0
    for batch in pq.ParquetFile(corpus).iter_batches(4096, columns=["messages", "prompt", "completion"]):
        for row in batch.to_pylist():
            if row["messages"]:
                yield from (turn["content"] for turn in row["messages"])
            else:
                yield row["prompt"] + row["completion"]
        seen += len(batch)
        if seen >= TOKENIZER_ROWS:
            return


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write an untrained chat model with a tokenizer learned from CORPUS.")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    build(args.corpus, args.out)


if __name__ == "__main__":
    main()
