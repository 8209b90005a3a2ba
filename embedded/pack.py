"""`python -m embedded.pack TRAINED`: put the model that the recipe has trained into the package, in bfloat16."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

WEIGHTS = Path(__file__).parents[1] / "engine" / "models" / "weights"
LIMIT = 10 * 2**20
"""Bytes that the package may grow by."""


def pack(model: Path, folder: Path = WEIGHTS) -> int:
    """Write the model and its tokenizer to `folder`; returns the bytes.

    Raises:
        SystemExit: it is larger than `LIMIT`.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(model).save_pretrained(folder)
    size = sum(file.stat().st_size for file in folder.iterdir())
    if size > LIMIT:
        raise SystemExit(f"{folder} holds {size:,} bytes, more than {LIMIT:,}: make the shape in base.py smaller")
    return size


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Put a trained model into the package.")
    parser.add_argument("trained", type=Path, help="what `setwright train ... --json` printed")
    trained = json.loads(parser.parse_args().trained.read_text(encoding="utf-8"))
    print(f"{pack(Path(trained['model'])):,} bytes in {WEIGHTS}")


if __name__ == "__main__":
    main()
