"""Serves rewards to a trainer that runs beside the build: JSON lines over a socket of this machine alone.

Whoever connects says first the password, which only the trainer's environment has, and the rewards that it wants. Lines
that come together are scored together, and batches don't wait for one another.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson

from engine.errors import SetwrightError
from engine.work.reward_bridge import ADDRESS, PASSWORD
from engine.work.rewards import Rewards

BATCH = 256
"""Answers that are scored together at most."""

LINGER = 0.02
"""Seconds that a batch waits for one more line."""

LONGEST = 64 << 20
"""Bytes of a line."""

UNWATCHED = 10 * 24 * 3600
"""Seconds that a trainer waits for these rewards: that a model doesn't hang is watched where it is asked."""


def reward_command(names: Sequence[str]) -> dict[str, Any]:
    """What a trainer is told of rewards that the build serves."""
    command = [sys.executable, "-P", "-m", "engine.work.reward_bridge", *names]
    return {"use": "command", "names": list(names), "command": command, "timeout_s": UNWATCHED}


class RewardServer:
    """Answers while `running` lasts; `failure` is what ended a connection otherwise than the trainer did."""

    def __init__(self, rewards: Rewards) -> None:
        self._rewards = rewards
        self._password = secrets.token_hex(32)
        self.failure: SetwrightError | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[dict[str, str]]:
        """Listen; gives the environment in which the trainer is to run."""
        connections: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._serve(reader, writer))
            connections.add(task)
            task.add_done_callback(connections.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=LONGEST)
        try:
            host, port = server.sockets[0].getsockname()[:2]
            yield {**os.environ, ADDRESS: f"{host}:{port}", PASSWORD: self._password}
        finally:
            server.close()
            for task in connections:
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)
            self._rewards.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            names = self._admitted(await reader.readline())
            if names is not None:
                async with asyncio.TaskGroup() as group:
                    async for lines in _batches(reader):
                        group.create_task(self._answer(lines, names, writer))
        except* ConnectionError:
            pass  # the trainer has ended
        except* Exception as errors:
            self.failure = _said(errors)
        finally:
            writer.close()

    def _admitted(self, greeting: bytes) -> list[str] | None:
        """The rewards that are wanted, None for a stranger."""
        try:
            said: Mapping[str, Any] = orjson.loads(greeting)
            known = hmac.compare_digest(str(said["password"]).encode(), self._password.encode())
            return list(map(str, said["names"])) if known else None
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return None

    async def _answer(self, lines: Sequence[bytes], names: Sequence[str], writer: asyncio.StreamWriter) -> None:
        asked = [orjson.loads(line) for line in lines]
        found = await self._rewards.of(asked, names)
        said = ({"id": one["id"], "rewards": rewards} for one, rewards in zip(asked, found, strict=True))
        writer.write(b"".join(orjson.dumps(answer) + b"\n" for answer in said))
        await writer.drain()


async def _batches(reader: asyncio.StreamReader) -> AsyncIterator[list[bytes]]:
    """Lines as they come, those that come together in one list."""
    while line := await reader.readline():
        lines = [line]
        while len(lines) < BATCH:
            try:
                line = await asyncio.wait_for(reader.readline(), LINGER)
            except TimeoutError:
                break
            if not line:
                break
            lines.append(line)
        yield lines


def _said(error: BaseException) -> SetwrightError:
    """The first error of a group of tasks, as a user sees it: the others are its consequences."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, SetwrightError):
        return error
    return SetwrightError(f"the rewards could not be given: {type(error).__name__}: {error}")
