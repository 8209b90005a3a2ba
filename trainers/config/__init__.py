"""The parameters of the trainers: names, defaults and what each may be.

The engine's operators declare the same names and defaults to specs; a hand-off folder carries them filled in. What
every trainer has stands in `run`, what is its own in a file by its name, and how JSON becomes either in `read`.
"""

from trainers.config.dpo import DpoConfig
from trainers.config.pama import PamaConfig
from trainers.config.rank import RankConfig
from trainers.config.read import from_params, to_params
from trainers.config.run import RunConfig
from trainers.config.sft import SftConfig

__all__ = ["CONFIGS", "DpoConfig", "PamaConfig", "RankConfig", "RunConfig", "SftConfig", "from_params", "to_params"]

CONFIGS: dict[str, type[RunConfig]] = {kind.trainer: kind for kind in (SftConfig, DpoConfig, PamaConfig, RankConfig)}
"""By the names of the trainers."""
