"""Model calls per second of a whole build, every answer durable, against a bare aiohttp client.

    python benchmarks/bench_calls.py [--calls 20000] [--runs 3] [--concurrency 256] [--latency-ms 20]

The server is a process of its own on loopback with a fixed latency. Both sides send the same prompts with the same
concurrency by turns: `generate: respond` in a fresh home, whose ledger must hold every answer at the end, and a client
that keeps the answers in a list (aiohttp, uvloop, orjson: the floor in Python). Goals: 60 % of the bare client's
calls per second in the step, and 0.6 ms of CPU a call beyond what an unchanged build takes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from pathlib import Path

from _data import rows, write_jsonl
from _evidence import held_calls
from _measure import Measured, fake_server, headline, measured, medians, script, server_stats, setwright, show, verdict

SHARE, CPU_MS = 0.6, 0.6
SPEC = """
version: 1
name: calls
models:
  teacher: {{use: openai, model: fake, base_url: "{url}", params: {{temperature: 0.7, max_tokens: 128}}}}
tables:
  prompts:
    source: prompts.jsonl
  answers:
    generate: respond
    from: prompts
    model: teacher
run: {{concurrency: {concurrency}}}
"""


def bare(url: str, file: str, concurrency: str) -> None:
    """The limit: as many requests as possible, answers parsed and kept in memory."""
    import aiohttp
    import orjson
    import uvloop

    prompts = [json.loads(line)["prompt"] for line in Path(file).read_text(encoding="utf-8").splitlines()]
    todo, answers = iter(enumerate(prompts)), []

    async def worker(session: aiohttp.ClientSession) -> None:
        for seed, prompt in todo:
            messages = [{"role": "user", "content": prompt}]
            body = {"model": "fake", "messages": messages, "temperature": 0.7, "max_tokens": 128, "seed": seed}
            async with session.post(f"{url}/chat/completions", data=orjson.dumps(body)) as response:
                answers.append(orjson.loads(await response.read())["choices"][0]["message"]["content"])

    async def run() -> float:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            began = time.perf_counter()
            await asyncio.gather(*(worker(session) for _ in range(int(concurrency))))
            return time.perf_counter() - began

    print(json.dumps({"seconds": uvloop.run(run()), "answers": len(answers)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--latency-ms", type=float, default=20)
    parser.add_argument("--bare", nargs=3, metavar=("URL", "FILE", "CONCURRENCY"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.bare:
        bare(*args.bare)
        return
    headline(f"{args.calls:,} calls, {args.concurrency} at once, {args.latency_ms:g} ms; medians of {args.runs}")
    with tempfile.TemporaryDirectory() as folder, fake_server(args.latency_ms) as url:
        compare(Path(folder), url, args)


def compare(folder: Path, url: str, args: argparse.Namespace) -> None:
    """Both sides by turns, and the verdicts."""
    home, prompts = folder / "home", folder / "prompts.jsonl"
    write_jsonl(prompts, ({"prompt": row["instruction"]} for row in rows(args.calls, seed=1)))
    (folder / "spec.yaml").write_text(SPEC.format(url=url, concurrency=args.concurrency))
    build = setwright("build", folder / "spec.yaml", "--home", home, "--json")

    def ours() -> Measured:
        shutil.rmtree(home, ignore_errors=True)
        return measured(build)

    def theirs() -> Measured:
        return measured(script("bench_calls.py", "--bare", url, prompts, args.concurrency))

    one, other = medians(args.runs, ours, theirs)
    unchanged = measured(build)
    step = next(s for s in one.json["steps"] if s["step"] == "answers")
    held = len(held_calls(home))
    assert held == step["calls_sent"] == args.calls, f"{held:,} answers are in the ledger"
    assert server_stats(url)["answered"] == 2 * args.runs * args.calls, "no call is sent twice"
    rate, limit = args.calls / step["seconds"], args.calls / other.json["seconds"]
    ms = [(run.cpu_s - rest) / args.calls * 1000 for run, rest in ((one, 0), (one, unchanged.cpu_s), (other, 0))]
    header = ("", "calls/s", "whole command s", "CPU ms a call", "less start-up", "peak MiB")
    show(
        header,
        [
            ("setwright", rate, one.wall_s, ms[0], ms[1], one.peak_mib),
            ("bare aiohttp", limit, other.wall_s, ms[2], "", other.peak_mib),
            ("ratio", rate / limit, one.wall_s / other.wall_s, ms[0] / ms[2], "", one.peak_mib / other.peak_mib),
        ],
    )
    print(f"answers in the ledger at the end: {held:,}")
    verdict("calls/s, share of the bare client's", rate / limit, SHARE, at_least=True)
    verdict("CPU a call", ms[1], CPU_MS, unit=" ms")


if __name__ == "__main__":
    main()
