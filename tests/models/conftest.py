"""Models that the tests of the backends share. They are built once; a test that changes one copies it first."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_model import build_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """The folder of a tiny Llama with tokenizer and chat template (`tests/tiny_model.py`)."""
    torch = pytest.importorskip("torch", reason="needs the extra `train`")
    torch.set_num_threads(1)
    return build_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def reward_model(tiny_model) -> Path:
    """The same with one label."""
    return build_tiny_model(tiny_model.parent / "reward", architecture="LlamaForSequenceClassification")


@pytest.fixture(scope="session")
def reference(tiny_model) -> SimpleNamespace:
    """`tiny_model` in plain transformers: its `tokenizer` and its `model`, without gradients."""
    import transformers

    return SimpleNamespace(
        tokenizer=transformers.AutoTokenizer.from_pretrained(tiny_model),
        model=transformers.AutoModelForCausalLM.from_pretrained(tiny_model).requires_grad_(False),
    )
