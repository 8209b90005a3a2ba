"""A real vLLM server on loopback, for tests that must not trust our own idea of its protocol.

It runs in a Python of its own, since vLLM pins what it stands on: `make vllm-env` sets one up in `.venv-vllm`, and
SETWRIGHT_VLLM_PYTHON names another. Where there is none, tests that ask for it are skipped and say so.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UP_WITHIN_S = 300
CPU = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
}


def vllm_python() -> Path:
    """The Python that has vLLM; skips the test where there is none."""
    python = Path(os.environ.get("SETWRIGHT_VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python"))
    if not python.exists():
        pytest.skip("no vLLM: `make vllm-env` sets it up, or SETWRIGHT_VLLM_PYTHON names a Python that has it")
    return python


@contextmanager
def serve(model: Path, log: Path) -> Iterator[str]:
    """A server of `model` under the name `served`, in fp32 without compilation; gives its base_url.

    A seeded call whose prompt is read in two passes ends vLLM 0.32 on the CPU, so a pass has room for many prompts.
    """
    port = _free_port()
    command = [
        str(vllm_python()), "-m", "vllm.entrypoints.openai.api_server", "--model", str(model),
        "--served-model-name", "served", "--port", str(port), "--enforce-eager", "--max-model-len", "512",
        "--dtype", "float32", "--max-num-batched-tokens", "16384",
    ]  # fmt: skip
    with log.open("wb") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | CPU)
        try:
            _wait(server, port, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
        except (urllib.error.URLError, OSError):
            time.sleep(1)
        else:
            return
    raise AssertionError(f"vLLM did not come up:\n{log.read_text(errors='replace')[-3000:]}")


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
