"""`use: transformers`: a checkpoint in this process, by torch and Hugging Face transformers.

Here stand the parameters, the identity and the life of the backend. The checkpoint's files are `_checkpoint`'s
business, calls meet in `_batcher`, and `_torch` loads and runs; torch is imported by `start` alone.

What decides an answer and so enters the identity: the weights, tokenizer and configuration (by content or commit),
`dtype`, `pooling`, `max_length`, `chat_template` and the sampling defaults. `dtype` does, because rounding every
weight to bfloat16 moves scores by a hundredth and turns samples: it is another model. It enters as it is written, and
`auto` means the dtype of the checkpoint, which the identity pins. `device`, `max_batch_tokens` and
`attn_implementation` never enter: they compute the same function and differ by rounding of single operations only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from engine.errors import ModelError, SetwrightError
from engine.model import Backend, BackendParams, ModelConfig, Weights
from engine.models._batcher import Batcher
from engine.models._checkpoint import Checkpoint, find
from engine.models._template import ChatTemplate
from engine.request import Answer, Capability, Embed, Message, Request, Sampling

if TYPE_CHECKING:
    from engine.models._torch import TorchWorker

VERSION = 3
"""Raised when a change of this backend's code changes its answers (tokenisation, padding, sampling)."""

log = logging.getLogger(__name__)


class TransformersParams(BackendParams):
    """Parameters of `use: transformers`."""

    temperature: float | None = Field(None, ge=0)  # None: the checkpoint's generation_config.json, or else 1
    top_p: float | None = Field(None, gt=0, le=1)  # likewise
    max_tokens: int = Field(1024, ge=1)  # a reply that reaches it has finish_reason `length`
    stop: Annotated[tuple[str, ...], Field(strict=False)] = ()
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    max_batch_tokens: int = Field(32768, ge=1)  # rows of a batch times its longest row, reply included
    pooling: Literal["mean", "last"] = "mean"  # of embeddings: all tokens, or the last one
    max_length: int | None = Field(None, ge=1)  # of embeddings: longer texts are cut to so many tokens, with a warning
    chat_template: str | None = None  # Jinja, instead of the tokenizer's own
    attn_implementation: str | None = None  # as in transformers: sdpa, eager, flash_attention_2, ...


class TransformersBackend(Backend):
    """Generation, log-probabilities, embeddings and rewards by the checkpoint's own architecture.

    - `generate` gives the model exactly the prompt: no special token is added, so that pre-query templates are met to
      the letter. `chat` renders the chat template. Both return text without special tokens, and end at a special
      token that `stop` names.
    - `loglikelihood` splits context and continuation as lm-evaluation-harness does; it and `next_token_logprobs` on a
      `prompt` put the beginning-of-text token first where the tokenizer itself does.
    - What `sampling` leaves open is read from the checkpoint's generation_config.json: temperature, top_p and the ends
      of text. Nothing else of it is applied (no top_k, no penalties).
    - A text that the model can't hold is a `ModelError`. Only embeddings can be cut, by `max_length`, and every cut is
      counted in a warning.
    - An answer does not depend on the other calls of its batch: not in a bit on a CPU (`_forward` says why), but for
      float noise on a GPU.
    """

    Params: ClassVar[type[BackendParams]] = TransformersParams
    label: ClassVar[str] = "use: transformers"  # in messages
    requires: ClassVar[frozenset[str]] = frozenset({"model"})
    accepts: ClassVar[frozenset[str]] = frozenset({"revision"})
    offers: ClassVar[frozenset[Capability]] = frozenset(Capability)

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config.params, TransformersParams)
        self.params = config.params
        self._batcher = Batcher(self._load, config.params.max_batch_tokens)
        self._template = ChatTemplate(lambda: self.checkpoint.fetch_tokenizer(), config.params.chat_template)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The folder or hub model that the spec names; raises `SetwrightError` where there is none."""
        return find(str(self.config.model), self.config.revision, self.config.folder)

    def identity(self) -> dict[str, Any]:
        """See `Backend.identity` and this module's docstring."""
        return {
            "backend": "transformers",
            "version": VERSION,
            **self.checkpoint.identity(),
            **self.params.model_dump(include={"dtype", "pooling", "max_length", "chat_template"}),
            "sampling": self.sampling.model_dump(mode="json", exclude_none=True),
        }

    @property
    def sampling(self) -> Sampling:
        """The parameters that say how replies are drawn."""
        p = self.params
        return Sampling(temperature=p.temperature, top_p=p.top_p, max_tokens=p.max_tokens, stop=p.stop)

    def weights(self) -> Weights:
        """The folder, or the hub's name at the commit that the identity pins."""
        return Weights(*self.checkpoint.place(), self.params.chat_template)

    async def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> str:
        """See `Backend.render`; loads the tokenizer, once, and no weights."""
        return await self._template.render(messages, add_generation_prompt=add_generation_prompt)

    def embedding_dim(self) -> int | None:
        """The hidden size in config.json; None for a hub model that isn't in the cache yet."""
        return self.checkpoint.hidden_size

    async def start(self) -> None:
        """Load the weights, in the thread that will run them."""
        await self._batcher.start()

    async def close(self) -> None:
        """Finish the batch that is running, then free the thread and the weights."""
        await self._batcher.close()

    async def answer(self, request: Request) -> Answer:
        """See `Backend.answer`."""
        return await self._batcher.submit(request)

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 (len(texts), hidden size), not normalised.

        Raises:
            ModelError: some texts can't be embedded; how many, which is the first, and why.
        """
        if not texts:
            return np.zeros((0, self.embedding_dim() or 0), np.float32)
        answers = await asyncio.gather(*(self._batcher.submit(Embed(t)) for t in texts), return_exceptions=True)
        failed = [(i, a) for i, a in enumerate(answers) if isinstance(a, ModelError)]
        if failed:
            first, error = failed[0]
            raise ModelError(
                f"{len(failed)} of {len(texts)} texts can't be embedded; number {first + 1}: {error.message}",
                cure=error.cure,
                status=422,
            )
        done = [a for a in answers if isinstance(a, Answer)]
        cut = sum(a.finish_reason == "length" for a in done)
        if cut:
            log.warning(
                "%s: %d of %d texts are longer than max_length (%d tokens); their vectors stand for the beginning",
                self.config.name, cut, len(texts), self.params.max_length,
            )  # fmt: skip
        return np.stack([a.vector for a in done if a.vector is not None])

    def _load(self) -> TorchWorker:
        try:
            from engine.models import _torch
        except ImportError as e:
            raise SetwrightError(
                f"model {self.config.name}: {self.label} needs torch and transformers ({e})",
                cure="pip install 'setwright[train]'",
            ) from e
        return _torch.load(self.checkpoint.fetch(), str(self.config.model), self.params, self.sampling)
