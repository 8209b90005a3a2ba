"""What a killed build left behind: the calls in its ledger, the requests that a server saw, the files of its objects.

Read from outside, without the engine's own code; nothing of the evidence is touched.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def held_calls(home: Path) -> frozenset[str]:
    """The answered calls in a home's ledger, read from a copy, so that recovery is left to the next build."""
    files = list(home.glob("ledger.sqlite*"))
    if not files:
        return frozenset()
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            shutil.copy(file, folder)
        con = sqlite3.connect(Path(folder) / "ledger.sqlite")
        try:
            if not con.execute("SELECT 1 FROM sqlite_master WHERE name = 'calls'").fetchone():
                return frozenset()
            requests = con.execute("SELECT request FROM calls WHERE error IS NULL").fetchall()
            (state,) = con.execute("PRAGMA integrity_check").fetchone()
        finally:
            con.close()
    if state != "ok":
        raise RuntimeError(f"the ledger of {home} is broken: {state}")
    return frozenset(_of_ledger(json.loads(text)) for (text,) in requests)


def asked(path: str, body: Any) -> Iterator[str]:
    """The calls that a request to the server stands for: one conversation, or each text of an embedding's list."""
    if path.endswith("/embeddings"):
        yield from (_key("embed", text) for text in body["input"])
    else:
        yield _key("chat", body["messages"], body.get("seed"))


def _of_ledger(request: dict[str, Any]) -> str:
    if request["kind"] == "embed":
        return _key("embed", request["text"])
    return _key("chat", request["messages"], request["draw"])


def _key(kind: str, *values: Any) -> str:
    return f"{kind}:{hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=12).hexdigest()}"


def steps_done(home: Path) -> set[str]:
    """The names of all steps that have a result."""
    return {path.stem for path in home.glob("refs/*/*.json")}


def differences(whole: Path, other: Path) -> list[str]:
    """Where the results of one home are not those of another: names, identities, rows and bytes of every file."""
    found = []
    for ref in sorted(whole.glob("refs/*/*.json")):
        twin = other / ref.relative_to(whole)
        if not twin.exists():
            found.append(f"{ref.stem} is missing")
        elif json.loads(twin.read_bytes()) != json.loads(ref.read_bytes()):
            found.append(f"{ref.stem} has another identity")
    for manifest in sorted(whole.glob("objects/*/manifest.json")):
        found += _object_differences(manifest.parent, other / "objects" / manifest.parent.name)
    return found


def _object_differences(whole: Path, other: Path) -> list[str]:
    names = {path.name for path in whole.glob("*.parquet")}
    others = {path.name for path in other.glob("*.parquet")}
    found = [f"object {whole.name}: {name} is there on one side only" for name in sorted(names ^ others)]
    for name in sorted(names & others):
        if (whole / name).read_bytes() != (other / name).read_bytes():
            one, two = pq.read_table(whole / name), pq.read_table(other / name)
            what = "bytes" if one.equals(two) else "rows" if one["row_id"].equals(two["row_id"]) else "row ids"
            found.append(f"object {whole.name}: {name} has other {what}")
    return found


def left_over(home: Path) -> list[Path]:
    """Temporary files that a killed process left behind."""
    return sorted(home.rglob("*.tmp"))
