"""The trained model as a folder that transformers loads, with the record of its training."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from trainers.data.folder import Base
from trainers.loop.checkpoint import publish
from trainers.model.policy import Policy
from trainers.model.sharding import is_sharded

PACKAGES = ("torch", "transformers", "accelerate", "peft")


def save_model(
    policy: Policy, weights: Mapping[str, Any], tokenizer: Any, base: Base, out: Path, identity: Mapping[str, Any]
) -> None:
    """Write `out/model`, and `out/adapter` for a model with adapters; each is there as a whole or not at all.

    `weights`: the state of `policy.model`, unsharded.
    """
    dtype, model = _stored_dtype(base), policy.model
    if policy.causal is not model:
        _put(out / "adapter", lambda folder: model.save_pretrained(folder, state_dict=dict(weights)))
        if getattr(policy.causal, "is_quantized", False) or is_sharded(policy):
            model = _on_the_base(base, out / "adapter", dtype)
        model = model.merge_and_unload().to(dtype)
        weights = model.state_dict()

    def write(folder: Path) -> None:
        narrow = {name: value.to(dtype) if value.is_floating_point() else value for name, value in weights.items()}
        model.config.dtype = dtype
        model.save_pretrained(folder, state_dict=narrow)
        tokenizer.save_pretrained(folder)
        record = {**identity, "versions": {name: importlib.metadata.version(name) for name in PACKAGES}}
        (folder / "training.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    _put(out / "model", write)


def _on_the_base(base: Base, adapter: Path, dtype: torch.dtype) -> Any:
    """The adapters on the base as it is on disk: merged into a quantised one, they would be rounded with it."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM
    return PeftModel.from_pretrained(auto.from_pretrained(base.model, revision=base.revision, dtype=dtype), adapter)


def _put(folder: Path, write: Any) -> None:
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write(partial)
    publish(partial, folder)


def _stored_dtype(base: Base) -> torch.dtype:
    """The type of the base's weights; float32 where its configuration names none."""
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(base.model, revision=base.revision).dtype or torch.float32
