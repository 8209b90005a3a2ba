"""axolotl, by one configuration. The names are those of axolotl 0.19."""

from engine.handoff.axolotl.dpo import DPO
from engine.handoff.axolotl.sft import SFT
from engine.handoff.target import Target

AXOLOTL = Target("axolotl", {"sft": SFT, "dpo": DPO})

__all__ = ["AXOLOTL"]
