"""Finding checkpoints: content digests, what is refused, and hub names against a hub on loopback."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial

import pytest

from engine.errors import SetwrightError
from engine.models._checkpoint import find

COMMIT = "c0ffee" + "0" * 34


class Hub(http.server.BaseHTTPRequestHandler):
    """Serves the files of one folder as the hub serves the model `org/tiny` at one commit."""

    def __init__(self, folder, *args):
        self.folder = folder
        super().__init__(*args)

    def do_GET(self):
        path = self.path.partition("?")[0]
        file = self.folder / path.rpartition("/")[2]
        headers = {}
        if path.startswith("/org/tiny/resolve/") and file.is_file():
            body = file.read_bytes()
            headers = {"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X-Repo-Commit": COMMIT}
        elif path.startswith("/api/models/org/tiny/tree/"):
            entries = [(p.name, p.stat().st_size) for p in self.folder.iterdir()]
            body = json.dumps([{"type": "file", "path": n, "size": s, "oid": "0" * 40} for n, s in entries]).encode()
        elif path.startswith("/api/models/org/tiny"):
            siblings = [{"rfilename": p.name} for p in self.folder.iterdir()]
            body = json.dumps({"id": "org/tiny", "sha": COMMIT, "siblings": siblings}).encode()
        else:
            body, headers = b"", {"X-Error-Code": "RepoNotFound"}
        self.send_response(200 if body else 404)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *args):
        pass


@contextmanager
def hub(folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def python(code, home, endpoint):
    """Run code in a process whose hub and cache are these (huggingface_hub reads both when it is imported)."""
    env = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "no_proxy": "*"}
    code = "from engine.models._checkpoint import find\n" + code
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_hub_model_is_its_commit_before_and_after_the_download_and_offline(tmp_path, tiny_model):
    with hub(tiny_model) as endpoint:
        code = "c = find('org/tiny'); print(c.identity()); print(c.hidden_size); print(len(list(c.fetch().iterdir())))"
        before, size, files = python(code, tmp_path, endpoint)
    assert before == str({"name": "org/tiny", "revision": COMMIT})
    assert size == "None", "not known before the download"
    assert int(files) == len(list(tiny_model.iterdir()))
    after, size, _ = python(code, tmp_path, endpoint)  # nobody listens there any more
    assert (after, size) == (before, "64")


def test_a_name_that_the_hub_does_not_know_and_a_hub_that_is_not_there(tmp_path, tiny_model):
    code = "try: c = find('org/none'); print(c.identity()); c.fetch()\nexcept Exception as e: print(repr(e))"
    with hub(tiny_model) as endpoint:
        (unknown, *_) = python(code, tmp_path, endpoint)
    assert unknown.startswith("SetwrightError('org/none (revision main) is neither a folder nor a model on the hub")
    identity, away, *_ = python(code, tmp_path, endpoint)
    assert identity == str({"name": "org/none", "revision": "main"})
    assert "the hub can't be reached" in away


def test_a_changed_file_changes_the_identity_and_a_log_does_not(tmp_path, tiny_model):
    shutil.copytree(tiny_model, tmp_path, dirs_exist_ok=True)
    base = find(str(tmp_path)).identity()
    for name in ("trainer_state.json", "README.md", "optimizer.pt"):
        (tmp_path / name).write_text("{}")
    assert find(str(tmp_path)).identity() == base
    weights = bytearray((tmp_path / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    changed = find(str(tmp_path)).identity()
    assert [name for name in base["files"] if base["files"][name] != changed["files"][name]] == ["model.safetensors"]


@pytest.mark.parametrize(
    ("rename", "says"),
    [
        (("model.safetensors", "pytorch_model.bin"), "pickled"),
        (("model.safetensors", "notes.md"), "no weights"),
        (("config.json", "notes.md"), "no config.json"),
        (("generation_config.json", "adapter_config.json"), "is an adapter"),
    ],
)
def test_what_can_not_be_loaded_safely_is_refused_with_a_cure(tmp_path, tiny_model, rename, says):
    shutil.copytree(tiny_model, tmp_path, dirs_exist_ok=True)
    (tmp_path / rename[0]).rename(tmp_path / rename[1])
    with pytest.raises(SetwrightError, match=says) as caught:
        find(str(tmp_path))
    assert caught.value.cure


@pytest.mark.parametrize("path", ["./no/such/folder", "/no/such/folder", "../model", "a/b/c"])
def test_an_unknown_folder_is_named(path):
    with pytest.raises(SetwrightError, match="there is no folder") as caught:
        find(path)
    assert path in str(caught.value)


def test_a_folder_has_no_revision(tiny_model):
    with pytest.raises(SetwrightError, match="has no revision 'main'"):
        find(str(tiny_model), "main")


def test_a_relative_path_begins_at_the_folder_that_is_given(tiny_model, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "models" / "tiny")
    assert find("models/tiny", folder=tmp_path).identity() == find(str(tiny_model)).identity()
