"""Memory does not grow with the source: half a million rows in one process of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

READ = """
import re, sys
from pathlib import Path
from engine import sourcing
source = sourcing.resolve(sys.argv[1], Path("/"))
rows = sum(len(part.table) for part in sourcing.read(source, sourcing.SourceParams(), part_rows=16384))
# Not ru_maxrss: it begins with the peak of the process that started this one.
print(rows, int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc")
def test_half_a_million_rows_within_600_mib(tmp_path):
    path = tmp_path / "a.jsonl"
    with path.open("w") as f:
        for i in range(500_000):
            record = {"instruction": f"question {i} " * 10, "input": "", "output": f"answer {i} " * 20, "id": i}
            f.write(json.dumps(record) + "\n")
    assert path.stat().st_size > 200_000_000
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", READ, str(path)], env=env, check=True, capture_output=True, text=True)
    rows, mebibytes = map(int, done.stdout.split())
    assert rows == 500_000
    assert mebibytes < 600
