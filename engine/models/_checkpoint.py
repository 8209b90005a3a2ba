"""Where a checkpoint lies and what decides its answers: a folder, or a hub name in the local cache.

Needs neither torch nor transformers: a plan asks for the identity of models that it will never load. A folder is
identified by the content of its files, a hub name by its commit; no path is part of an identity.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from engine.errors import SetwrightError

SUFFIXES = (".safetensors", ".json", ".jinja", ".txt", ".model", ".tiktoken")
"""The files that weights, configuration, tokenizer and chat template are read from. Pickles never are."""

LOGS = frozenset({"trainer_state.json", "train_results.json", "eval_results.json", "all_results.json"})
"""What trainers leave beside the weights; decides no answer."""

HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
COMMIT = re.compile(r"[0-9a-f]{40}")
DIMENSION_KEYS = ("hidden_size", "d_model", "n_embd", "dim")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that `find` has found.

    `folder` is None for a hub name that the local cache doesn't hold; `commit` is None for a folder, and for a hub
    name that could not be resolved because the hub can't be reached.
    """

    name: str  # as the spec gives it
    folder: Path | None = None
    revision: str | None = None
    commit: str | None = None

    @property
    def on_hub(self) -> bool:
        """Whether `name` is a hub name and not a folder."""
        return self.revision is not None

    @cached_property
    def config(self) -> Mapping[str, Any] | None:
        """The content of `config.json`; None where the checkpoint isn't on this machine yet."""
        if self.folder is None:
            return None
        try:
            config: dict[str, Any] = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        except ValueError as e:
            raise SetwrightError(f"{self.name}: config.json is not JSON: {e}", cure="copy the checkpoint again") from e
        return config

    @property
    def hidden_size(self) -> int | None:
        """The length of its hidden states, where `config.json` says it."""
        config = self.config or {}
        text = config.get("text_config", config)  # of a model for text and images
        return next((text[key] for key in DIMENSION_KEYS if key in text), None)

    def identity(self) -> dict[str, Any]:
        """Name and commit of a hub model; the digest of every file of a folder that can change an answer."""
        if self.on_hub:
            return {"name": self.name, "revision": self.commit or self.revision}
        assert self.folder is not None, "a checkpoint is a folder or on the hub"
        files = sorted(p for p in self.folder.iterdir() if p.suffix in SUFFIXES and p.name not in LOGS and p.is_file())
        with ThreadPoolExecutor() as pool:  # hashing lets the interpreter go, and large checkpoints come in many files
            digests = pool.map(_digest_file, files)
            return {"files": {p.name: d for p, d in zip(files, digests, strict=True)}}

    def place(self) -> tuple[str, str | None]:
        """Who loads it names it so: a hub name and the commit that the identity pins, or a folder."""
        if self.on_hub:
            return self.name, self.commit or self.revision
        return str(self.fetch().resolve()), None

    def fetch(self) -> Path:
        """The folder with all of its files; downloads what the cache lacks, at the commit of the identity.

        Raises:
            SetwrightError: the hub can't be reached, or the checkpoint is not one that can be loaded.
        """
        folder = self.folder
        if self.on_hub and (folder is None or not _has_all_weights(folder)):
            folder = self._download()
        assert folder is not None, "a checkpoint is a folder or on the hub"
        _check(folder, self.name)
        return folder

    def fetch_tokenizer(self) -> Path:
        """A folder with the tokenizer's files; downloads what the cache lacks, but no weights.

        Raises:
            SetwrightError: the hub can't be reached.
        """
        folder = self.folder
        if self.on_hub and (folder is None or not (folder / "tokenizer_config.json").exists()):
            folder = self._download(weights=False)
        assert folder is not None, "a checkpoint is a folder or on the hub"
        return folder

    def _download(self, *, weights: bool = True) -> Path:
        if self.commit is None:
            raise SetwrightError(
                f"{self.name} is not a folder, not in the local cache, and the hub can't be reached",
                cure=f"check the path, or go online, or fetch it elsewhere: hf download {self.name}",
            )
        from huggingface_hub import snapshot_download

        try:
            patterns = [f"*{suffix}" for suffix in SUFFIXES if weights or suffix != ".safetensors"]
            # by its branch, so that the cache remembers which commit the branch is at
            path = snapshot_download(self.name, revision=self.revision, allow_patterns=patterns, ignore_patterns="*/*")
        except Exception as e:  # the hub's client raises its own, its HTTP library's and OSError
            raise SetwrightError(
                f"{self.name} ({self.revision}): the download failed: {e}",
                cure="check the connection; a gated model needs HF_TOKEN and its licence accepted on the hub",
            ) from e
        if Path(path).name != self.commit:
            raise SetwrightError(
                f"{self.name}: {self.revision} moved on from {self.commit} just now",
                cure="build again",
            )
        return Path(path)


def find(model: str, revision: str | None = None, folder: Path = Path()) -> Checkpoint:
    """The checkpoint that `model` names: a path (from `folder`), or a hub name at `revision` (default: `main`).

    What the cache holds is taken without asking the hub, so that a build is the same offline and a moved branch
    changes nothing unseen. Only a name that the cache doesn't know costs one small request for its commit: an
    identity that named a branch before the download and a commit after it would repeat every call once.

    Raises:
        SetwrightError: there is no such folder or hub model, or it can't be loaded.
    """
    path = folder / Path(model).expanduser()
    if path.is_dir():
        if revision is not None:
            raise SetwrightError(
                f"{model} is a folder and has no revision {revision!r}", cure="drop `revision`, or give a hub name"
            )
        _check(path, model)
        return Checkpoint(model, folder=path)
    if not HUB_NAME.fullmatch(model):
        raise SetwrightError(f"there is no folder {model}", cure="check the path, or give a hub name as ORG/NAME")
    return _find_on_hub(model, revision or "main")


def find_tokenizer(model: str, folder: Path = Path()) -> Path:
    """The folder of a tokenizer: a path (from `folder`), which needs no weights, or that of a hub name.

    Raises:
        SetwrightError: there is no such folder or hub model, or it can't be fetched.
    """
    path = folder / Path(model).expanduser()
    return path if path.is_dir() else find(model, None, folder).fetch_tokenizer()


def _find_on_hub(name: str, revision: str) -> Checkpoint:
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    cached = try_to_load_from_cache(name, "config.json", revision=revision)
    if isinstance(cached, str):
        folder = Path(cached).parent  # snapshots/COMMIT
        return Checkpoint(name, folder=folder, revision=revision, commit=folder.name)
    if COMMIT.fullmatch(revision):
        return Checkpoint(name, revision=revision, commit=revision)
    try:
        return Checkpoint(name, revision=revision, commit=HfApi().model_info(name, revision=revision, timeout=10).sha)
    except (RepositoryNotFoundError, RevisionNotFoundError) as e:
        raise SetwrightError(
            f"{name} (revision {revision}) is neither a folder nor a model on the hub",
            cure="check the name; a private model needs HF_TOKEN in the environment",
        ) from e
    except Exception:  # not reachable, by whichever HTTP library the hub's client uses; `fetch` says so if it matters
        return Checkpoint(name, revision=revision)


def _check(folder: Path, name: str) -> None:
    """Refuse what can't be loaded safely and exactly, before a plan counts on it."""
    present = {p.name for p in folder.iterdir()}
    if "adapter_config.json" in present:
        raise SetwrightError(
            f"{name} is an adapter (adapter_config.json), whose base model would not be part of its identity",
            cure="merge it into its base (peft: merge_and_unload, then save_pretrained) and name that folder",
        )
    if "config.json" not in present:
        raise SetwrightError(f"{name} holds no config.json", cure="name a folder that save_pretrained has written")
    if any(p.endswith(".safetensors") for p in present):
        return
    if any(p.endswith((".bin", ".pt", ".pth", ".ckpt")) for p in present):
        raise SetwrightError(
            f"{name} holds pickled weights only; Setwright never unpickles, as a pickle can run code",
            cure="convert a checkpoint that you trust to safetensors: save_pretrained(..., safe_serialization=True)",
        )
    raise SetwrightError(f"{name} holds no weights (*.safetensors)", cure="copy the weights beside config.json")


def _has_all_weights(folder: Path) -> bool:
    index = folder / "model.safetensors.index.json"
    if index.exists():
        shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        return all((folder / shard).exists() for shard in shards)
    return any(folder.glob("*.safetensors"))


def _digest_file(path: Path) -> str:
    stat = path.stat()
    return _digest_version(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _digest_version(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001  the cache's key
    """SHA-256 of a file, 32 hex characters; read again only when its size or time has changed."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()[:32]
