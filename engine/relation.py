"""How a table's columns are composed of objects: rows, scores beside them, and a selector's verdict over them.

A scorer's object stands beside the table it scores and a selector's object holds verdicts only, so that a changed
score rebuilds neither its siblings nor the rows. All of them keep the cut of the rows they belong to, so composing
a part is a matter of laying columns side by side, in Arrow as in SQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.needs import SideTable
from engine.schema import ROW_ID, VERDICT, is_embedding
from engine.store import Manifest, Store

PICK_COLUMNS = ("select_rank", "nn_id", "nn_sim")
"""The columns of a verdict that a selected table shows; those of an earlier selection are hidden by a later one."""


@dataclass(frozen=True)
class Relation:
    """A table: the object with its rows (or, for a selection, its verdicts over `parent`), and its scores' objects."""

    fingerprint: str
    scores: tuple[tuple[str, str], ...] = ()  # (score's name, fingerprint), in the spec's order
    parent: Relation | None = None  # given for a selection

    def to_json(self) -> dict[str, Any]:
        """As it is stored in a ref."""
        parent = None if self.parent is None else self.parent.to_json()
        return {"fingerprint": self.fingerprint, "scores": [list(s) for s in self.scores], "parent": parent}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Relation:
        """The inverse of `to_json`."""
        parent = None if value["parent"] is None else Relation.from_json(value["parent"])
        return Relation(value["fingerprint"], tuple((n, f) for n, f in value["scores"]), parent)

    def fingerprints(self) -> Iterator[str]:
        """Every object that this table is composed of."""
        yield self.fingerprint
        yield from (f for _, f in self.scores)
        if self.parent is not None:
            yield from self.parent.fingerprints()


@dataclass
class Reader:
    """Reads a relation's parts column by column; schemas are looked at once."""

    store: Store
    relation: Relation
    _schemas: dict[str, pa.Schema] = field(default_factory=dict)

    @property
    def n_parts(self) -> int:
        """The number of parts."""
        return len(self._manifest().parts)

    @property
    def part_rows(self) -> tuple[int, ...]:
        """The rows of each part; for a selection, those selected."""
        manifest = self._manifest()
        return manifest.parts if self.relation.parent is None else tuple(manifest.facts["selected_parts"])

    def schema(self) -> pa.Schema:
        """The table's columns in their order: rows (or the parent's), the verdict's, the scores'."""
        own = self._object_schema(self.relation.fingerprint)
        if self.relation.parent is None:
            fields = list(own)
        else:
            inherited = Reader(self.store, self.relation.parent, self._schemas).schema()
            fields = [f for f in inherited if f.name not in PICK_COLUMNS]
            fields += [VERDICT.field(name) for name in PICK_COLUMNS]
        for _, fingerprint in self.relation.scores:
            fields += [f for f in self._object_schema(fingerprint) if f.name != ROW_ID]
        return pa.schema(fields)

    def part(self, index: int, columns: Sequence[str]) -> pa.Table:
        """The named columns of one part, in the order asked for; an empty table where the part has no such rows."""
        found = dict(self._columns(index, set(columns)))
        return pa.table({name: found[name] for name in columns})

    def batch(self, index: int, reads: Mapping[str, str]) -> pa.Table:
        """One part as an operator is given it: row_id, and the columns that it reads under the operator's names."""
        table = self.part(index, inputs(reads))
        return renamed(table, reads)

    def parts(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Every part in turn."""
        return (self.part(i, columns) for i in range(self.n_parts))

    def table(self, columns: Sequence[str]) -> pa.Table:
        """All parts as one table (columns stay chunked by part)."""
        return pa.concat_tables(self.parts(columns))

    def whole(self, reads: Mapping[str, str]) -> SideTable:
        """All rows, as an operator is given a table beside those that it works on."""
        return SideTable(renamed(self.table(inputs(reads)), reads))

    def head(self, columns: Sequence[str], rows: int) -> pa.Table:
        """The first rows, reading no more parts than they need."""
        found: list[pa.Table] = []
        for part in self.parts(columns):
            found.append(part)
            if sum(p.num_rows for p in found) >= rows:
                break
        return pa.concat_tables(found).slice(0, rows)

    def _columns(self, index: int, wanted: set[str]) -> Iterator[tuple[str, pa.ChunkedArray]]:
        for _, fingerprint in self.relation.scores:
            names = [n for n in self._object_schema(fingerprint).names if n in wanted and n != ROW_ID]
            if names:
                yield from self._own(fingerprint, index, names)
                wanted = wanted - set(names)
        if self.relation.parent is None:
            yield from self._own(self.relation.fingerprint, index, sorted(wanted))
            return
        verdict = self.store.read_part(self.relation.fingerprint, index, ["selected", *(wanted & set(PICK_COLUMNS))])
        mask = verdict["selected"]
        kept = verdict.drop_columns(["selected"]).filter(mask)
        yield from zip(kept.column_names, kept.columns, strict=True)
        inherited = sorted(wanted - set(PICK_COLUMNS))
        if inherited:
            parent = Reader(self.store, self.relation.parent, self._schemas).part(index, inherited).filter(mask)
            yield from zip(parent.column_names, parent.columns, strict=True)

    def _manifest(self) -> Manifest:
        manifest = self.store.manifest(self.relation.fingerprint)
        assert manifest is not None, f"object {self.relation.fingerprint} is not complete"
        return manifest

    def _own(self, fingerprint: str, index: int, names: Sequence[str]) -> Iterator[tuple[str, pa.ChunkedArray]]:
        table = self.store.read_part(fingerprint, index, names)
        yield from zip(table.column_names, table.columns, strict=True)

    def _object_schema(self, fingerprint: str) -> pa.Schema:
        if fingerprint not in self._schemas:
            files = self.store.side_files(fingerprint, "part")
            self._schemas[fingerprint] = pq.read_schema(files[0])
        return self._schemas[fingerprint]


def inputs(reads: Mapping[str, str]) -> list[str]:
    """The table's columns that an operator reads, row_id first."""
    return list(dict.fromkeys([ROW_ID, *reads.values()]))


def renamed(table: pa.Table, reads: Mapping[str, str]) -> pa.Table:
    """The operator's names in the place of the table's."""
    return pa.table({ROW_ID: table[ROW_ID]} | {name: table[column] for name, column in reads.items()})


def view_sql(store: Store, relation: Relation) -> str:
    """A SELECT over Parquet files that gives the table in its own order, for any DuckDB client.

    Objects that belong together hold the same rows in the same order (a law), so they are laid side by side: a join on
    row_id takes twice the time and memory, and gives the rows in an order that differs from run to run.
    """
    query = f"SELECT * FROM {_read_parquet(store, relation.fingerprint)}"
    if relation.parent is not None:
        names = Reader(store, Relation(relation.fingerprint, (), relation.parent)).schema().names
        columns = ", ".join(f'picks."{n}"' if n in PICK_COLUMNS else f'parent."{n}"' for n in names)
        parent = view_sql(store, relation.parent)
        query = f"SELECT {columns} FROM ({parent}) AS parent POSITIONAL JOIN ({query}) AS picks WHERE picks.selected"
    if not relation.scores:
        return query
    columns, joins = "base.*", ""
    for i, (_, fingerprint) in enumerate(relation.scores):
        columns += f", s{i}.* EXCLUDE (row_id)"
        joins += f" POSITIONAL JOIN {_read_parquet(store, fingerprint)} AS s{i}"
    return f"SELECT {columns} FROM ({query}) AS base{joins}"


def _read_parquet(store: Store, fingerprint: str) -> str:
    """An object's rows; its embeddings as arrays, which DuckDB reads as lists of any length."""
    files = store.side_files(fingerprint, "part")
    read = f"read_parquet([{', '.join(quote(str(p.resolve())) for p in files)}])"
    arrays = [field for field in pq.read_schema(files[0]) if is_embedding(field.type)]
    if not arrays:
        return read
    casts = ", ".join(f'"{f.name}"::{_sql_number(f.type.value_type)}[{f.type.list_size}] AS "{f.name}"' for f in arrays)
    return f"(SELECT * REPLACE ({casts}) FROM {read})"


def _sql_number(kind: pa.DataType) -> str:
    return "DOUBLE" if pa.types.is_float64(kind) else "FLOAT"


def quote(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
