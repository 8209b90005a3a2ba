"""TRL, by its command line. The names are those of TRL 1.16 with transformers 5."""

from engine.handoff.target import Target
from engine.handoff.trl.dpo import DPO
from engine.handoff.trl.sft import SFT

TRL = Target("trl", {"sft": SFT, "dpo": DPO})

__all__ = ["TRL"]
