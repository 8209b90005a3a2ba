"""Which HTTP client the engine should stand on: calls per second and CPU per call against a server with fixed latency.

    python benchmarks/http_clients.py [--calls 4000] [--concurrency 256] [--latency-ms 20] [--rounds 3]

Each client runs in a process of its own, one after the other in every round, against one server process on loopback;
the table has the median of the rounds. `raw` is bare asyncio streams with hand-written HTTP: the floor. `backend` is
`use: openai`, with its limits, retries and parsing. A client that isn't installed is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import uvloop

SERVER = Path(__file__).parents[1] / "tests" / "fake_server.py"
Call = Callable[[int], Awaitable[str]]


def body(i: int) -> dict[str, Any]:
    return {
        "model": "m",
        "messages": [{"role": "user", "content": f"{i}: " + "a question of about three hundred characters " * 7}],
        "temperature": 0.7,
        "max_tokens": 128,
        "seed": i,
    }


async def spread(calls: int, concurrency: int, call: Call) -> None:
    """Keep `concurrency` calls in flight until all are answered."""
    numbers = iter(range(calls))

    async def worker() -> None:
        for i in numbers:
            assert (await call(i)).startswith("reply ")

    await asyncio.gather(*(worker() for _ in range(concurrency)))


async def raw(port: int, calls: int, concurrency: int) -> None:
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def call(i: int) -> str:
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        data = orjson.dumps(body(i))
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)
        answer = await reader.readuntil(b"\r\n\r\n")
        size = int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        reply = orjson.loads(await reader.readexactly(size))
        idle.append((reader, writer))
        return reply["choices"][0]["message"]["content"]

    await spread(calls, concurrency, call)
    for _, writer in idle:
        writer.close()


async def aiohttp(port: int, calls: int, concurrency: int) -> None:
    import aiohttp as client

    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    async with client.ClientSession(connector=client.TCPConnector(limit=0)) as session:

        async def call(i: int) -> str:
            async with session.post(url, data=orjson.dumps(body(i))) as response:
                return orjson.loads(await response.read())["choices"][0]["message"]["content"]

        await spread(calls, concurrency, call)


async def httpx(port: int, calls: int, concurrency: int) -> None:
    import httpx as client

    limits = client.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    async with client.AsyncClient(limits=limits, timeout=600) as session:

        async def call(i: int) -> str:
            response = await session.post(url, content=orjson.dumps(body(i)))
            return orjson.loads(response.content)["choices"][0]["message"]["content"]

        await spread(calls, concurrency, call)


async def backend(port: int, calls: int, concurrency: int) -> None:
    from engine.model import ModelConfig
    from engine.models.openai import OpenAI, OpenAIParams
    from engine.request import Chat, Sampling

    config = ModelConfig("m", "m", None, f"http://127.0.0.1:{port}/v1", None, OpenAIParams(), concurrency)
    model = OpenAI(config)
    await model.start()

    async def call(i: int) -> str:
        fields = body(i)
        answer = await model.answer(Chat(tuple(fields["messages"]), Sampling(temperature=0.7, max_tokens=128), i))
        return answer.text or ""

    await spread(calls, concurrency, call)
    await model.close()


CLIENTS = {"raw": raw, "aiohttp": aiohttp, "httpx": httpx, "backend": backend}


def measure(name: str, port: int, calls: int, concurrency: int) -> None:
    """Run one client here and print its figures; the first calls warm connections up and are not counted."""

    async def main() -> tuple[float, float]:
        await CLIENTS[name](port, 2 * concurrency, concurrency)
        wall, cpu = time.perf_counter(), cpu_seconds()
        await CLIENTS[name](port, calls, concurrency)
        return time.perf_counter() - wall, cpu_seconds() - cpu

    wall, cpu = uvloop.run(main())
    print(json.dumps({"calls_per_s": calls / wall, "cpu_ms": cpu / calls * 1000}))


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--latency-ms", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.client:
        return measure(args.client, args.port, args.calls, args.concurrency)

    server = [sys.executable, str(SERVER), "--latency-ms", str(args.latency_ms)]
    names = [name for name in CLIENTS if name == "backend" or name == "raw" or importlib.util.find_spec(name)]
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as process:
        port = process.stdout.readline().strip()
        for _ in range(args.rounds):
            for name in names:
                one = [sys.executable, __file__, "--client", name, "--port", port]
                one += ["--calls", str(args.calls), "--concurrency", str(args.concurrency)]
                figures[name].append(json.loads(subprocess.run(one, check=True, capture_output=True).stdout))
        process.kill()
    print(f"{'client':<10}{'calls/s':>10}{'CPU ms/call':>14}   median of {args.rounds}")
    for name, rounds in figures.items():
        rate, cpu = (statistics.median(r[key] for r in rounds) for key in ("calls_per_s", "cpu_ms"))
        print(f"{name:<10}{rate:>10.0f}{cpu:>14.3f}")
    return None


if __name__ == "__main__":
    main()
