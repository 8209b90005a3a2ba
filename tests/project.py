"""A small project in a temporary folder: a spec, its data, its home; built by the real engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb

from engine.builds import Report, build
from engine.catalog import connect
from engine.ledger import Ledger
from engine.plan import make_plan
from engine.plan.steps import Plan
from engine.spec.load import load_spec
from engine.store import Store


class Project:
    """Write a spec with `spec`, then `plan`, `build` and `sql` it as often as a test likes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "spec.yaml"
        self.home = folder / "home"

    def spec(self, text: str) -> Project:
        self.file.write_text("version: 1\nname: trial\nseed: 7\n" + text, encoding="utf-8")
        return self

    def data(self, rows: list[dict[str, Any]], name: str = "data.jsonl") -> Project:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (self.folder / name).write_text(lines, encoding="utf-8")
        return self

    def plan(self, **options: Any) -> Plan:
        ledger = Ledger(self.home)
        try:
            return make_plan(load_spec(self.file), Store(self.home), ledger=ledger, **options)
        finally:
            ledger.close()

    def build(self, **options: Any) -> Report:
        return build(load_spec(self.file), self.home, **options)

    def states(self, **options: Any) -> dict[str, str]:
        return {step["step"]: step["state"] for step in self.build(**options).steps}

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        ledger = Ledger(self.home)
        con = connect(Store(self.home), ledger, "trial")
        try:
            return con.sql(query).fetchall()
        finally:
            con.close()
            ledger.close()

    def calls(self) -> int:
        """Answered calls in the ledger."""
        ledger = Ledger(self.home)
        try:
            return ledger.count()
        finally:
            ledger.close()

    def open_catalog(self) -> duckdb.DuckDBPyConnection:
        """As any DuckDB client would."""
        return duckdb.connect(str(self.home / "catalog.duckdb"), read_only=True)
