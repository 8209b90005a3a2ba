"""A real but tiny Llama with a byte-level BPE tokenizer and a chat template, random weights, built in about a second.

Import `build_tiny_model`, or take the session fixture `tiny_model` of tests/models/conftest.py.
"""

from __future__ import annotations

from pathlib import Path

SPECIAL = ("<|pad|>", "<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
PAD, BEGIN, END = 0, 1, 2

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{{ '<|' + m['role'] + '|>' + (m['content'] or '') }}"
    "{% for call in m['tool_calls'] or [] %}{{ call['function']['name'] + '()' }}{% endfor %}{{ '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

CORPUS = (
    "Name the three primary colours. The primary colours are red, blue and yellow.",
    "What is 12 + 30? It is 42. What is 7 + 8? It is 15.",
    "Write a short poem about the sea; the sea is wide and the night is long.",
    "Please score the quality of this response: the response is good, and the score is 5.",
)


def build_tiny_model(folder: Path, *, seed: int = 0, architecture: str = "LlamaForCausalLM") -> Path:
    """Write a checkpoint of any transformers class of a decoder (classifiers have one label) and return its folder.

    The weights are drawn with a wide spread, so that next-token distributions are far from uniform and replies differ.
    """
    import torch
    import transformers

    torch.manual_seed(seed)
    model_class = getattr(transformers, architecture)
    config = model_class.config_class(
        vocab_size=400, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.15, num_labels=1,
        pad_token_id=PAD, bos_token_id=BEGIN, eos_token_id=END,
    )  # fmt: skip
    transformers.utils.logging.disable_progress_bar()
    model_class(config).save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    return folder


def build_tokenizer():
    """The tokenizer alone: byte-level BPE of at most 400 tokens with single digits; adds no special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=SPECIAL[PAD],
        bos_token=SPECIAL[BEGIN],
        eos_token=SPECIAL[END],
        chat_template=CHAT_TEMPLATE,
    )
