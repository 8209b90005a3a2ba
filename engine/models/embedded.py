"""`use: embedded`: the small chat model that ships inside the package; runs on any CPU, offline.

It is the backend of `use: transformers` over the folder `weights/` beside this file, and is identified as every
folder is, by content. How the weights come to be is no business of the package (`docs/embedded-model.md`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.errors import SetwrightError
from engine.model import BackendParams, ModelConfig
from engine.models._checkpoint import Checkpoint
from engine.models.transformers import TransformersBackend, TransformersParams

WEIGHTS = Path(__file__).parent / "weights"


class EmbeddedParams(BackendParams):
    """How replies are drawn, and where: as in `use: transformers`. The weights are stored small and run in float32."""

    temperature: float | None = Field(None, ge=0)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int = Field(1024, ge=1)
    stop: Annotated[tuple[str, ...], Field(strict=False)] = ()
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "float32"


class Embedded(TransformersBackend):
    """A Llama of a few million parameters with its own tokenizer and chat template; takes no `model`."""

    Params: ClassVar[type[BackendParams]] = EmbeddedParams
    label: ClassVar[str] = "use: embedded"
    requires: ClassVar[frozenset[str]] = frozenset()
    accepts: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, config: ModelConfig) -> None:
        params = TransformersParams(**config.params.model_dump())
        super().__init__(replace(config, model=str(WEIGHTS), params=params))

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The folder inside the package; raises `SetwrightError` where this copy came without it."""
        if not (WEIGHTS / "config.json").is_file():
            raise SetwrightError(
                f"model {self.config.name}: the weights of use: embedded are not in this copy of the package",
                cure="install a release, or make them: make embedded",
            )
        return super().checkpoint
