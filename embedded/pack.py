"""`python -m embedded.pack MODEL`: put a trained model into the package, in bfloat16 and without what no one reads."""

from __future__ import annotations

import argparse
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
    parser.add_argument("model", type=Path, help="the folder that the recipe's model node was built to")
    print(f"{pack(parser.parse_args().model):,} bytes in {WEIGHTS.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
