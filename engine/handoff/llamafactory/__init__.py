"""LLaMA-Factory: `dataset_info.json` and its configuration. The names are those of LLaMA-Factory 0.9.5.

The rows go in ShareGPT's formatting, with OpenAI's tags: the formatting `openai` gives every talk without a system
prompt one of its own (`detailed thinking off`).
"""

from engine.handoff.llamafactory.common import DATASETS
from engine.handoff.llamafactory.dpo import DPO, SINGLE
from engine.handoff.llamafactory.sft import SFT
from engine.handoff.target import Target

LLAMAFACTORY = Target("llamafactory", {"sft": SFT, "dpo": DPO})
WRITTEN = (DATASETS, SINGLE)
"""Files and folders of a hand-off that it alone has."""

__all__ = ["LLAMAFACTORY", "WRITTEN"]
