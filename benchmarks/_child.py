"""Runs one command and writes what it took: `python _child.py RESULT.json COMMAND...`.

A process of its own, and a small one: the system counts a child's peak memory from that of the process that starts it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def main(result: str, *command: str) -> None:
    began = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    took = {
        "wall_s": time.perf_counter() - began,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2),
        "exit_code": os.waitstatus_to_exitcode(status),
    }
    Path(result).write_text(json.dumps(took))


if __name__ == "__main__":
    main(*sys.argv[1:])
