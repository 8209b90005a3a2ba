"""Whether what a spec needs from outside is there: variables, packages, a GPU, checkpoints and servers.

Checks for `setwright doctor`. The values of variables, keys, and addresses beyond host and port are never told.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.doctor.machine import Finding
from engine.errors import SetwrightError
from engine.models.openai import OPENAI_URL
from engine.registry import backend
from engine.spec.document import Document
from engine.spec.load import load_spec
from engine.spec.nodes import ModelNode, Spec
from engine.work.train import PACKAGES as TRAINING

TIMEOUT_S = 5
SHOWN = 5  # models of a server that a message names
PACKAGES = {"transformers": ("torch", "transformers"), "vllm": ("vllm",)}
"""What a backend imports when it starts, where that is not in the core."""

EXTRAS = {"transformers": "train", "vllm": "vllm"}
REFERENCE = re.compile(r"(?<!\$)\$\{([A-Za-z_]\w*)(:-)?")


def check_spec(path: Path) -> Iterator[Finding]:
    """The variables that a spec reads, whether it loads, and each of its models."""
    try:
        yield from _check_variables(Document.read(path))
        spec = load_spec(path)
    except SetwrightError as e:
        yield Finding("fail", "spec", e.message, e.cure or "mend the spec; `setwright plan` checks it in full")
        return
    yield Finding("ok", "spec", f"{path}: {len(spec.tables)} tables, {len(spec.models) + len(spec.trained)} models")
    for node in spec.models.values():
        yield from _check_model(node)
    yield from _check_trainers(spec)
    if spec.trained or any(node.use in PACKAGES for node in spec.models.values()):
        yield from _check_gpu()


def _check_variables(document: Document) -> Iterator[Finding]:
    found = [match for text in _strings(document.data) for match in REFERENCE.finditer(text)]
    for name, has_default in sorted({(match[1], bool(match[2])) for match in found}):
        if name in os.environ:
            yield Finding("ok", f"variable {name}", "is set")
        elif has_default:
            yield Finding("ok", f"variable {name}", "is not set; the spec has a default")
        else:
            yield Finding("fail", f"variable {name}", "is not set", f"export {name}=...")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _check_model(node: ModelNode) -> Iterator[Finding]:
    what = f"model {node.name} (use: {node.use})"
    found = backend(node.use)
    absent = [name for name in PACKAGES.get(node.use, ()) if importlib.util.find_spec(name) is None]
    if absent:
        cure = f'pip install "setwright[{EXTRAS[node.use]}]"'
        yield Finding("fail", what, f"needs {' and '.join(absent)}, not installed", cure)
    if "base_url" in found.requires | found.accepts:
        yield asyncio.run(_check_server(node, what))
        return
    try:
        found(node.config).identity()  # looks for the checkpoint, where there must be one
    except SetwrightError as e:
        yield Finding("fail", what, e.message, e.cure)
    else:
        yield Finding("ok", what, f"{node.config.model} is there" if node.config.model else "needs nothing")


def _check_trainers(spec: Spec) -> Iterator[Finding]:
    """Whether the models that the spec trains can be trained here."""
    absent = [name for name in TRAINING if importlib.util.find_spec(name) is None]
    for node in spec.trained.values():
        what = f"model {node.name} (train: {node.trainer})"
        if absent:
            yield Finding(
                "fail", what, f"needs {' and '.join(absent)}, not installed", 'pip install "setwright[train]"'
            )
        else:
            yield Finding("ok", what, "what training needs is installed")


async def _check_server(node: ModelNode, what: str) -> Finding:
    """Ask a server which models it has."""
    import aiohttp
    from yarl import URL

    address = node.config.base_url or OPENAI_URL
    server = urlsplit(address).netloc.rpartition("@")[2]
    key = node.config.api_key.get_secret_value() if node.config.api_key else os.environ.get("OPENAI_API_KEY")
    cure = "start the server, or check base_url"
    try:
        url = URL(address)
        headers = {"Authorization": f"Bearer {key}"} if key and url.user is None else {}
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), trust_env=True) as session,
            session.get((url / "models").with_query(url.query), headers=headers, allow_redirects=False) as response,
        ):
            answer = await response.json(content_type=None) if response.status == 200 else None
            return _judge(node, what, server, response.status, answer)
    except TimeoutError:
        return Finding("fail", what, f"{server} did not answer within {TIMEOUT_S} s", cure)
    except (aiohttp.ClientError, OSError, ValueError) as e:  # their messages may repeat the address
        return Finding("fail", what, f"can't reach {server} ({type(e).__name__})", cure)


def _judge(node: ModelNode, what: str, server: str, status: int, answer: Any) -> Finding:
    if status in (401, 403):
        return Finding("fail", what, f"{server} refuses the key (status {status})", "set the api_key that it expects")
    if status not in (200, 404, 405):
        return Finding(
            "fail", what, f"{server} answers with status {status}", "look into the server, or check base_url"
        )
    entries = answer.get("data") or () if isinstance(answer, dict) else ()
    names = [entry.get("id") for entry in entries if isinstance(entry, dict)]
    if not names:
        said = f"{server} answers, but tells no models (status {status})"
        return Finding("warn", what, said, "check the path in base_url; some servers have no such list")
    if node.config.model not in names:
        served = ", ".join(str(name) for name in names[:SHOWN])
        return Finding("fail", what, f"{server} does not serve {node.config.model}", f"it serves {served}")
    return Finding("ok", what, f"{server} serves {node.config.model}")


def _check_gpu() -> Iterator[Finding]:
    if importlib.util.find_spec("torch") is None:
        return
    import torch

    if torch.cuda.is_available():
        names = (torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count()))
        yield Finding("ok", "GPU", ", ".join(f"{gpu.name} ({gpu.total_memory / 1e9:.0f} GB)" for gpu in names))
    else:
        said = f"torch {torch.__version__} sees none; models run on the CPU"
        yield Finding("warn", "GPU", said, "if there is one, install the build of torch for its driver")
