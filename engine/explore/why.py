"""Finds out the life of a row: follows it from table to table and gathers what was done with it there.

Everything is looked up in the store's objects and the catalog's views, nothing is computed anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from engine.errors import SetwrightError, StoreError, did_you_mean
from engine.explore.life import Life, RowCall, RowFailure, RowVerdict, Stage, StepScore
from engine.names import last_of
from engine.relation import Relation, view_sql
from engine.schema import PARENT_ID, ROW_ID
from engine.store import Manifest, Store

if TYPE_CHECKING:
    import duckdb

MIN_PREFIX = 6
"""Characters of a row id that must be given, so that a match is no accident."""

LISTED = 5
"""Row ids that a message about an ambiguous prefix lists."""


def life(store: Store, con: duckdb.DuckDBPyConnection, spec: str, table: str, row: str) -> Life:
    """The life of one row.

    Args:
        store: the home's objects.
        con: a connection to the catalog in which the spec's views need no prefix (`catalog.connect`).
        spec: the spec's name.
        table: the table that the row is in, was dropped from, or could not be made for.
        row: its id, or the first 6 characters or more of it where no other row of the table shares them.

    Raises:
        SetwrightError: there is no such table or row, or several rows begin like this.
    """
    tracer = _Tracer(store, con, spec)
    table = last_of(table, tracer.tables)
    if table not in tracer.tables:
        raise SetwrightError(
            f"{spec} has no built table {table!r}{did_you_mean(table, tracer.tables)}",
            cure="build it first, or name another --home",
        )
    return tracer.life(table, tracer.find(table, row))


class _Tracer:
    """Looks rows up in the tables of a spec as its refs name them now."""

    def __init__(self, store: Store, con: duckdb.DuckDBPyConnection, spec: str) -> None:
        self._store, self._con, self._spec = store, con, spec
        self._refs = {name: store.ref(spec, name) or {} for name in store.ref_names(spec)}
        self.tables = {
            name: Relation.from_json(ref["relation"])
            for name, ref in self._refs.items()
            if ref["verb"] not in ("score", "test", "train", "until")
        }

    def find(self, table: str, given: str) -> str:
        """The id of the one row of a table, or of one that failed to get into it, that begins as given."""
        rows = view_sql(self._store, Relation(_base(self.tables[table]).fingerprint))
        known = f"SELECT row_id FROM ({rows}) UNION SELECT row_id FROM errors WHERE table_name = $table"
        alike = "row_id = $row OR ($long AND starts_with(row_id, $row))"
        found = self._query(
            f"SELECT row_id FROM ({known}) WHERE {alike} ORDER BY ALL",
            row=given, table=table, long=len(given) >= MIN_PREFIX,
        )  # fmt: skip
        ids = [row[ROW_ID] for row in found]
        if given in ids:
            return given
        if len(given) < MIN_PREFIX:
            raise SetwrightError(f"{given!r} is too short", cure=f"give at least {MIN_PREFIX} characters of a row id")
        if not ids:
            raise SetwrightError(f"{table} never had a row {given!r}", cure=self._elsewhere(given))
        if len(ids) > 1:
            shown = ", ".join(ids[:LISTED]) + (", ..." if len(ids) > LISTED else "")
            raise SetwrightError(
                f"{len(ids)} rows of {table} begin with {given!r}: {shown}", cure="give more of the id"
            )
        return str(ids[0])

    def life(self, table: str, row_id: str) -> Life:
        """The stages of a row that `find` has found."""
        before = list(self._upstream(table, row_id))
        if not any(s.row_id == row_id for s in before):  # it is the parent of a row that could not be made
            before = list(self._upstream(str(self._refs[table]["from"]), row_id))
        seen = {stage.table for stage in before}
        selections = [
            (name, relation) for name, relation in self.tables.items() if relation.parent and name not in seen
        ]
        selections.sort(key=lambda selection: len(self._chain(selection[0])))
        after = [self._selection(name, relation, row_id) for name, relation in selections]
        stages = [*reversed(before), *filter(None, after)]
        return Life(table, row_id, tuple(stages), self._failures({row_id, *(stage.row_id for stage in stages)}))

    def _elsewhere(self, given: str) -> str:
        found = self._query("SELECT DISTINCT table_name FROM lineage WHERE starts_with(row_id, $row)", row=given)
        names = ", ".join(sorted(row["table_name"] for row in found))
        return f"it is a row of {names}" if names else "list ids by `setwright show SPEC TABLE --columns row_id`"

    def _upstream(self, table: str, row_id: str) -> Iterator[Stage]:
        """The stages of a row in a table and in those before it, the youngest first."""
        seen = set()
        place: tuple[str, str] | None = (table, row_id)
        while place is not None and place not in seen:  # a query may give a row any parent, even itself
            seen.add(place)
            *selections, (base, relation) = self._chain(place[0])
            for name, selection in selections:
                stage = self._selection(name, selection, place[1])
                if stage is not None:
                    yield stage
            row = self._row(relation.fingerprint, place[1])
            if row is None:
                return
            yield self._stage(base, relation, place[1], row=row)
            place = self._origin(base, relation, row)

    def _chain(self, table: str) -> list[tuple[str, Relation]]:
        """A table, what it selects from, what that selects from, down to the table that holds the rows."""
        relation = self.tables[table]
        chain = [(table, relation)]
        while relation.parent is not None:
            table, relation = str(self._refs[table]["from"]), relation.parent
            chain.append((table, relation))
        return chain

    def _origin(self, table: str, relation: Relation, row: dict[str, Any]) -> tuple[str, str] | None:
        """Where a row came from: the same row in a table that a query or list read, or its parent."""
        ref, row_id, parent = self._refs[table], row[ROW_ID], row.get(PARENT_ID)
        if ref["verb"] == "generate":
            return None if parent is None else (str(ref["from"]), parent)
        inputs = self._manifest(relation.fingerprint).payload["inputs"]
        read = {fingerprint for what, fingerprint in inputs.items() if what.partition(".")[2] == "rows"}
        sources = [name for name, source in self.tables.items() if source.fingerprint in read]
        for source in sources:
            if self._row(_base(self.tables[source]).fingerprint, row_id) is not None:
                return source, row_id
        known = self._query("SELECT table_name FROM lineage WHERE row_id = $row ORDER BY ALL", row=parent)
        return (known[0]["table_name"], str(parent)) if known else None

    def _selection(self, name: str, relation: Relation, row_id: str) -> Stage | None:
        """The stage of a row in a selection; None where the selection did not see it."""
        found = self._row(relation.fingerprint, row_id)
        if found is None:
            return None
        assert relation.parent is not None
        other = found["nn_id"] and self._row(_base(relation).fingerprint, found["nn_id"])
        told = {key: found[key] for key in ("selected", "select_rank", "drop_reason", "nn_id", "nn_sim")}
        return self._stage(name, relation, row_id, verdict=RowVerdict(**told, other=other))

    def _stage(
        self, table: str, relation: Relation, row_id: str,
        *, row: dict[str, Any] | None = None, verdict: RowVerdict | None = None,
    ) -> Stage:  # fmt: skip
        own = row or {}
        askers = [(name, row_id) for name, _ in relation.scores]
        if self._refs[table]["verb"] == "generate":
            askers.insert(0, (table, own[PARENT_ID] or row_id))
        scores = (self._score(name, fingerprint, row_id) for name, fingerprint in relation.scores)
        payload = self._manifest(relation.fingerprint).payload
        return Stage(
            table, _label(payload), payload.get("params", {}), row_id, own, verdict, tuple(scores),
            tuple(call for step, asker in askers for call in self._calls(step, asker, own if step == table else {})),
        )  # fmt: skip

    def _score(self, step: str, fingerprint: str, row_id: str) -> StepScore:
        values = self._row(fingerprint, row_id) or {}
        label = _label(self._manifest(fingerprint).payload)
        return StepScore(step, label, {name: value for name, value in values.items() if name != ROW_ID})

    def _calls(self, step: str, asker: str, row: dict[str, Any]) -> Iterator[RowCall]:
        """The calls that a step made for the row `asker`, in the order of their answers; failed ones, too.

        `row` is what the step made of it, if it makes rows.
        """
        names = "call_id, model, kind, error, tokens_in, tokens_out, latency_s, build"
        found = self._query(
            f'SELECT {names}, request, response, epoch_us(called_at) AS us FROM calls WHERE call_id IN '
            "(SELECT call_id FROM row_calls WHERE step = $step AND row_id = $row) OR "
            "(error IS NOT NULL AND spec = $spec AND node = $step AND row_id = $row) ORDER BY seq",
            step=step, row=asker, spec=self._spec,
        )  # fmt: skip
        for call in found:
            response = None if call["response"] is None else json.loads(call["response"])
            text = None if response is None else response.get("text")
            made = next((name for name, value in row.items() if text and value == text), None)
            at = datetime.fromtimestamp(call["us"] / 1e6, UTC)  # as a number: Arrow's times would import pandas
            told = {name: call[name] for name in names.split(", ")}
            yield RowCall(step=step, request=json.loads(call["request"]), response=response, made=made, at=at, **told)

    def _failures(self, row_ids: set[str]) -> tuple[RowFailure, ...]:
        found = self._query(
            "SELECT step, row_id, error, transient FROM errors WHERE list_contains($rows, row_id) ORDER BY ALL",
            rows=sorted(row_ids),
        )
        return tuple(RowFailure(**row) for row in found)

    def _row(self, fingerprint: str, row_id: str) -> dict[str, Any] | None:
        rows = view_sql(self._store, Relation(fingerprint))
        found = self._query(f"SELECT * FROM ({rows}) WHERE row_id = $row", row=row_id)
        return found[0] if found else None

    def _manifest(self, fingerprint: str) -> Manifest:
        manifest = self._store.manifest(fingerprint)
        if manifest is None:
            raise StoreError(f"the object {fingerprint} is gone from {self._store.home}", cure="build the spec again")
        return manifest

    def _query(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._con.sql(sql, params=params).to_arrow_table().to_pylist()
        return rows


def _label(payload: dict[str, Any]) -> str:
    """`score: length` for the operator `score/length`."""
    return str(payload["operator"]).replace("/", ": ")


def _base(relation: Relation) -> Relation:
    """The relation that holds the rows under all selections."""
    return relation if relation.parent is None else _base(relation.parent)
