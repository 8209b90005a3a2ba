"""A hub on loopback with one data set: `from operators.sources.fake_hub import FakeHub`."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "README.md": b"# tiny\n",
    "data/train.jsonl": b'{"a": "x", "n": 1}\n{"a": "y", "n": 2}\n',
    "data/test.jsonl": b'{"a": "z", "n": 3}\n',
}
REPOSITORY = "someone/tiny"


class _Handler(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self._answer(with_body=False)

    def do_GET(self):
        self._answer(with_body=True)

    def log_message(self, *args):
        pass

    def _answer(self, with_body):
        path, _, query = self.path.partition("?")
        if path.startswith(f"/api/datasets/{REPOSITORY}/tree/"):
            below = path.split("/tree/")[1].partition("/")[2]
            self._send(200, json.dumps(_listing(below, "recursive=true" in query.lower())).encode(), with_body)
        elif path.startswith(f"/api/datasets/{REPOSITORY}"):
            files = [{"rfilename": name} for name in FILES]
            info = {"id": REPOSITORY, "sha": COMMIT, "private": False, "gated": False, "tags": [], "siblings": files}
            self._send(200, json.dumps(info).encode(), with_body)
        elif path.startswith(f"/datasets/{REPOSITORY}/resolve/"):
            name = path.split("/resolve/")[1].partition("/")[2]
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{name}"'}
            if name in FILES:
                self._send(200, FILES[name], with_body, headers)
            else:
                self._send(404, b"{}", with_body, {**headers, "X-Error-Code": "EntryNotFound"})
        else:
            self._send(404, b"{}", with_body, {"X-Error-Code": "RepoNotFound"})

    def _send(self, status, data, with_body, headers=()):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(data)


def _listing(below, recursive):
    files = [{"type": "file", "oid": "a" * 40, "size": len(data), "path": name} for name, data in FILES.items()]
    if below:
        return [file for file in files if file["path"].startswith(f"{below}/")]
    folder = {"type": "directory", "oid": "b" * 40, "size": 0, "path": "data"}
    return files if recursive else [folder, *(file for file in files if "/" not in file["path"])]


class FakeHub:
    """Serves while the `with` block runs; `url` goes into HF_ENDPOINT."""

    def __enter__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
