"""`python -m engine.work.reward_bridge NAME ...`: the trainer's reward command whose answers the build gives.

It stands between the trainer's pipes and the build that serves these rewards: lines go to it as they come, and its
lines come back. It needs the standard library alone. Where the build listens, and the word that it lets in, are in the
environment.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from typing import BinaryIO

ADDRESS = "SETWRIGHT_REWARDS"
"""HOST:PORT."""

PASSWORD = "SETWRIGHT_REWARDS_PASSWORD"


def main(names: list[str]) -> int:
    """Pass lines on until the trainer has no more, and answers until the build has no more."""
    for number in (signal.SIGTERM, signal.SIGINT):  # a trainer that is told to stop still ends its step
        signal.signal(number, signal.SIG_IGN)
    host, _, port = os.environ.get(ADDRESS, "").rpartition(":")
    if not host:
        sys.stderr.write(f"{ADDRESS} is not set: only a build that runs gives these rewards; see `setwright train`\n")
        return 2
    try:
        with socket.create_connection((host, int(port))) as connection:
            greeting = {"password": os.environ.get(PASSWORD, ""), "names": names}
            connection.sendall(json.dumps(greeting).encode() + b"\n")
            threading.Thread(target=_ask, args=(sys.stdin.buffer, connection), daemon=True).start()
            with connection.makefile("rb") as answers:
                for line in answers:
                    sys.stdout.buffer.write(line)
                    sys.stdout.buffer.flush()
    except OSError as error:
        sys.stderr.write(f"the build that gives these rewards can't be reached: {error}\n")
        return 1
    return 0


def _ask(asked: BinaryIO, connection: socket.socket) -> None:
    try:
        for line in asked:
            connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the build has ended the connection, which whoever reads its answers sees, too


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
