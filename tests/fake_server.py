"""A real HTTP server on loopback that speaks the OpenAI protocol, for tests and benchmarks.

Answers depend on the request alone (`fake_replies`); failures follow a plan; every request is kept with its times.
In tests it runs in a thread (the fixture `fake_server`); as a program it prints its port and serves until killed:

    python tests/fake_server.py --port 0 --latency-ms 20 [--fail-share 0.5 --fail-status 429]

`GET /stats` gives the counts, `GET /hits` the digest, arrival and answer time of every request.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from fake_replies import reply
from yarl import URL


@dataclass
class Hit:
    """A request as it came in; times in seconds of the monotonic clock."""

    number: int  # 1 for the server's first request
    attempt: int  # 1 for the first request with this path and body
    in_flight: int  # requests that are being answered, this one among them
    path: str
    head: bytes
    raw: bytes
    digest: str  # of path and body
    arrived: float = field(default_factory=time.monotonic)
    answered: float | None = None  # when a whole answer had been written; None for a cut, hung or pending request
    status: int | None = None

    @cached_property
    def body(self) -> Any:
        return json.loads(self.raw)

    def header(self, name: str) -> str | None:
        """The value of a request header."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.lower().encode():
                return value.strip().decode()
        return None

    def chance(self) -> float:
        """A number in [0, 1) from the body and the attempt: a failure drawn by it does not depend on timing."""
        return int.from_bytes(hashlib.blake2b(f"{self.digest}/{self.attempt}".encode(), digest_size=6).digest()) / 2**48


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request: a status, or 200 with something worse."""

    status: int = 200
    how: Literal["status", "cut", "cut_body", "hang", "broken_json", "garbage"] = "status"
    header: str | None = None  # a further line, like "retry-after: 1"
    message: str = "injected fault"
    code: str | None = None


Plan = Callable[[Hit], Fault | None]


class FakeServer:
    """The server in a thread of its own, as a context manager; `url` is its `base_url`.

    The plan says for each request what goes wrong; a fault instead of a plan goes wrong every time.
    """

    def __init__(self, plan: Plan | Fault | None = None, *, latency_ms: float = 0, port: int = 0) -> None:
        self.plan = plan if callable(plan) else lambda _: plan
        self.latency = latency_ms / 1000
        self.port = port
        self.hits: list[Hit] = []
        self.bodies: Counter[str] = Counter()
        self.connections: set[_Connection] = set()
        self.in_flight = self.peak = 0
        self._loop = _event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> FakeServer:
        self._thread.start()
        self._on_loop(self.listen())
        return self

    def __exit__(self, *exc: object) -> None:
        self._on_loop(self.die())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def kill(self) -> None:
        """Refuse connections and cut the open ones, as a killed process does."""
        self._on_loop(self.die())

    def revive(self) -> None:
        """Listen again on the same port."""
        self._on_loop(self.listen())

    def stats(self) -> dict[str, float]:
        """Counts over all requests so far; `repeats` are requests whose very body had been answered with 200 before."""
        good = Counter(h.digest for h in self.hits if h.status == 200 and h.answered is not None)
        return {
            "requests": len(self.hits),
            "distinct": len(self.bodies),
            "answered": good.total(),
            "repeats": good.total() - len(good),
            "peak_in_flight": self.peak,
            "open_connections": len(self.connections),
            "cpu_s": time.process_time(),
        }

    async def listen(self) -> None:
        self._server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]

    async def die(self) -> None:
        self._server.close()
        for connection in list(self.connections):
            connection.transport.abort()
        while self.connections:  # connection_lost runs in the loop's next turn
            await asyncio.sleep(0)

    def _on_loop(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive and Content-Length, one request at a time: what clients of this protocol send."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.server.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self.server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end]
        _, found, after = head.lower().partition(b"content-length:")
        size = int(after.split(b"\r\n", 1)[0]) if found else 0
        if len(self.buffer) >= end + 4 + size:
            body, self.buffer = self.buffer[end + 4 : end + 4 + size], self.buffer[end + 4 + size :]
            self.request(head, body)

    def request(self, head: bytes, raw: bytes) -> None:
        server = self.server
        path = URL(head.split(b" ", 2)[1].decode()).path  # a proxy is sent the whole address
        if path == "/stats":
            return self.send(200, server.stats())
        if path == "/hits":
            return self.send(200, [[h.digest, h.arrived, h.answered, h.status] for h in server.hits])
        digest = hashlib.blake2b(path.encode() + raw, digest_size=12).hexdigest()
        server.bodies[digest] += 1
        server.in_flight += 1
        server.peak = max(server.peak, server.in_flight)
        hit = Hit(len(server.hits) + 1, server.bodies[digest], server.in_flight, path, head, raw, digest)
        server.hits.append(hit)
        asyncio.get_running_loop().call_later(server.latency, self.answer, hit, server.plan(hit))
        return None

    def answer(self, hit: Hit, fault: Fault | None) -> None:
        if fault is not None and fault.how == "hang":
            return  # in flight for ever
        self.server.in_flight -= 1
        if self.transport.is_closing():
            return
        if fault is None:
            hit.status, answer = reply(hit.path, hit.body)
            self.send(hit.status, answer)
        elif self.break_off(hit, fault):
            return
        hit.answered = time.monotonic()

    def break_off(self, hit: Hit, fault: Fault) -> bool:
        """Answer with a fault; True when the connection was cut."""
        hit.status = fault.status
        if fault.how == "status":
            error = {"message": fault.message, "type": "injected", "code": fault.code}
            self.send(fault.status, {"error": error}, fault.header)
        elif fault.how == "garbage":
            self.send(200, {"choices": "garbage"})
        elif fault.how == "broken_json":
            self.write(200, b'{"choices": [{"mess')
        else:
            if fault.how == "cut_body":
                self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")
            self.transport.close()
            return True
        return False

    def send(self, status: int, answer: Any, header: str | None = None) -> None:
        self.write(status, json.dumps(answer).encode(), header)

    def write(self, status: int, body: bytes, header: str | None = None) -> None:
        extra = f"{header}\r\n" if header else ""
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{extra}content-length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)


def _event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=20)
    parser.add_argument("--fail-share", type=float, default=0.0, help="share of requests that fail, by their hash")
    parser.add_argument("--fail-status", type=int, default=429)
    args = parser.parse_args()

    def plan(hit: Hit) -> Fault | None:
        return Fault(args.fail_status) if hit.chance() < args.fail_share else None

    with FakeServer(plan if args.fail_share else None, latency_ms=args.latency_ms, port=args.port) as server:
        print(server.port, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
