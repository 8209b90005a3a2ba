"""A checkpoint loaded by torch and transformers: the worker that answers batches of calls.

Everything here runs in the batcher's thread. Which class loads a checkpoint, and so which calls it can answer,
follows from the architecture that its config.json names. Code and pickles from a checkpoint are never run.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch  # noqa: TID253  imported by the backend in its worker's thread, never by a plan
import transformers  # noqa: TID253
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES  # noqa: TID253

from engine.errors import ModelError, SetwrightError
from engine.models import _decoding, _forward, _next_token
from engine.models._encoding import Encoder
from engine.models._items import Choice, Conversation, Draft, Item, Passage, Scored
from engine.request import Answer, Capability, Request, Sampling

if TYPE_CHECKING:
    from engine.models.transformers import TransformersParams

CAUSAL = frozenset(Capability) - {Capability.REWARD}
SAFE: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}


@dataclass(frozen=True)
class TorchWorker:
    """A loaded model with its tokenizer (see `engine.models._batcher.Worker`)."""

    model: Any
    encoder: Encoder
    kinds: frozenset[Capability]
    ends: frozenset[int]  # tokens that end a reply
    pooling: str

    def prepare(self, request: Request) -> Item:
        """The request as token ids; raises `ModelError` where this checkpoint can't answer it."""
        if request.kind not in self.kinds:
            raise ModelError(
                f"{type(self.model).__name__} can't answer {request.kind} calls, only: {', '.join(sorted(self.kinds))}",
                cure="name a causal transformer for text and log-probabilities, "
                "a sequence classifier with one label for rewards",
            )
        return self.encoder(request)

    def run(self, items: Sequence[Any]) -> list[Answer]:
        """The answers to items of one class; raises `MemoryError` where the batch does not fit."""
        try:
            with torch.inference_mode():
                return self._run(items)
        except torch.OutOfMemoryError as e:
            raise MemoryError(str(e)) from None
        except RuntimeError as e:
            if "DefaultCPUAllocator" in str(e):  # torch has no class of its own for a full main memory
                raise MemoryError(str(e)) from None
            raise

    def _run(self, items: Sequence[Any]) -> list[Answer]:
        if isinstance(items[0], Draft):
            return _decoding.generate(self.model, items, ends=self.ends, decode=self.encoder.decode)
        if isinstance(items[0], Choice):
            return _next_token.next_token(self.model, items)
        width = items[0].width
        return [answer for part in _forward.slices(items, self.model, width) for answer in self._pass(part)]

    def _pass(self, items: Sequence[Any]) -> list[Answer]:
        match items[0]:
            case Scored():
                return _forward.loglikelihood(self.model, items)
            case Passage():
                fill = self.encoder.tokenizer.pad_token_id or 0
                return _forward.embed(self.model, items, pooling=self.pooling, fill=fill)
            case Conversation():
                return _forward.reward(self.model, items)
            case other:
                raise TypeError(f"no batch is made of {type(other).__name__}")


_LOADING = threading.Lock()
"""Models are loaded one after the other: transformers patches torch while it loads, for all threads at once."""


def load(folder: Path, name: str, params: TransformersParams, sampling: Sampling) -> TorchWorker:
    """Load the checkpoint in `folder`; `name` is for messages, `sampling` holds the model node's defaults.

    Raises:
        SetwrightError: it can't be loaded, it lacks weights or a tokenizer, or the device isn't there.
    """
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    device = _device(params.device)
    try:
        with _LOADING:
            config = transformers.AutoConfig.from_pretrained(folder, **SAFE)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **SAFE)
            auto_class, kinds = _family(config, name)
            model = _load_model(auto_class, folder, name, params).to(device)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as e:
        raise SetwrightError(
            f"{name} can't be loaded: {e}",
            cure="check that the folder is complete (config, weights, tokenizer) and that this version of transformers "
            "knows the architecture; code that comes with a checkpoint is never run",
        ) from e
    return _worker(model, tokenizer, kinds, params, sampling)


def _worker(
    model: Any, tokenizer: Any, kinds: frozenset[Capability], params: TransformersParams, sampling: Sampling
) -> TorchWorker:
    if "past_key_values" not in inspect.signature(model.forward).parameters:
        kinds -= {Capability.GENERATE, Capability.CHAT}  # the decoding loop needs an attention cache
    model.config.get_text_config().use_cache = False  # only the decoding loop wants the cache, and asks for it
    stored = model.generation_config if Capability.GENERATE in kinds else None
    encoder = Encoder(
        tokenizer,
        limit=_limit(model.config, tokenizer),
        defaults=sampling if stored is None else sampling.over(_sampling(stored)),
        chat_template=params.chat_template,
        max_length=params.max_length,
    )
    return TorchWorker(model, encoder, kinds, _ends(stored, tokenizer), params.pooling)


def _family(config: Any, name: str) -> tuple[Any, frozenset[Capability]]:
    """The class that loads the checkpoint, and the calls that it can answer."""
    architecture = next(iter(config.architectures or ()), "")
    if getattr(config, "is_encoder_decoder", False):
        raise SetwrightError(
            f"{name} is an encoder-decoder model ({architecture})", cure="use a causal model or a plain encoder"
        )
    if architecture in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
        return transformers.AutoModelForCausalLM, CAUSAL
    if architecture.endswith("ForSequenceClassification"):
        rewards = {Capability.REWARD} if config.num_labels == 1 else set()
        return transformers.AutoModelForSequenceClassification, frozenset({Capability.EMBED, *rewards})
    return transformers.AutoModel, frozenset({Capability.EMBED})


def _load_model(auto_class: Any, folder: Path, name: str, params: TransformersParams) -> Any:
    chosen = {} if params.attn_implementation is None else {"attn_implementation": params.attn_implementation}
    model, info = auto_class.from_pretrained(
        folder, dtype=params.dtype, use_safetensors=True, output_loading_info=True, **chosen, **SAFE
    )
    missing = sorted(key for key in info["missing_keys"] if "pooler" not in key)  # no embedding reads a pooler
    if missing:
        raise SetwrightError(
            f"{name} lacks weights of {type(model).__name__} and would answer at random: {', '.join(missing[:3])}"
            f"{f' and {len(missing) - 3} more' if len(missing) > 3 else ''}",
            cure="check that all shards are there and that config.json names the architecture that was saved",
        )
    return model


def _device(wanted: str) -> str:
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise SetwrightError(f"device {wanted}: torch sees no GPU here", cure="set params.device to auto or cpu")
    return wanted


def _limit(config: Any, tokenizer: Any) -> int | None:
    """The tokens that a text may have, by the model's positions and by its tokenizer (which says 1e30 for none)."""
    positions = getattr(config.get_text_config(), "max_position_embeddings", None)
    limit = min(positions or tokenizer.model_max_length, tokenizer.model_max_length)
    return int(limit) if limit < 1e9 else None


def _sampling(stored: Any) -> Sampling:
    """What the checkpoint's generation_config.json says; temperature 1 where it says nothing, as vLLM does."""
    return Sampling(temperature=stored.temperature, top_p=stored.top_p)


def _ends(stored: Any, tokenizer: Any) -> frozenset[int]:
    named = None if stored is None else stored.eos_token_id
    listed = named if isinstance(named, list) else [named]
    return frozenset(token for token in (*listed, tokenizer.eos_token_id) if token is not None)
