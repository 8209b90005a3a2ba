"""The second pass: which columns each step reads and writes, of which types, and which step owns each of them.

Every error is collected with its place: a column that isn't there, a wrong type, a column that two steps write.
A table that has an error gives no columns, and what stands on it is left unchecked rather than blamed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from engine.errors import Problem, did_you_mean
from engine.model import Backend
from engine.names import ROUND
from engine.needs import MODEL, Reads
from engine.plan.queries import query_columns, test_columns
from engine.plan.rewards import reward_columns
from engine.plan.sql import as_query, read_ahead, unbound
from engine.plan.steps import Columns, Step, Verb
from engine.plan.views import Column, View, named, schema_of, score_columns
from engine.relation import PICK_COLUMNS
from engine.schema import ID_FIELDS, PARENT_ID, ROW_ID, VERDICT
from engine.spec.data_tests import Sql
from engine.spec.nodes import Spec


@dataclass
class ColumnsPass:
    """Walks the steps in their order. `peek` gives the schema of a source step (without ids)."""

    spec: Spec
    backends: Mapping[str, Backend]
    peek: Callable[[Step], pa.Schema]
    views: dict[str, View] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    expressions: list[tuple[Step, str, str, pa.Schema]] = field(default_factory=list)

    def run(self, steps: Sequence[Step]) -> dict[str, Columns]:
        """The columns of each step; a step with problems is left out."""
        read_ahead([text for step in steps for text in _texts(step)])
        found = {}
        for step in steps:
            if not all(source in self.views for source in (*step.sources, *step.sides.values())):
                continue
            before = len(self.problems)
            columns = self._columns(step)
            if columns is not None and len(self.problems) == before:
                found[step.name] = columns
                self._publish(step, columns)
                self._check_round(step, columns)
        self._bind_expressions()
        return found

    def handed_over(self, steps: Sequence[Step]) -> dict[str, Mapping[str, str]]:
        """What each hand-off's trainer reads, as in `Columns.reads`; one whose table has problems is left out."""
        known = [step for step in steps if step.sources[0] in self.views]
        return {step.name: self.reads(step, self.views[step.sources[0]]) for step in known}

    def _columns(self, step: Step) -> Columns | None:
        match step.verb:
            case Verb.SOURCE:
                return Columns(writes={f.name: f.type for f in self.peek(step) if f.name not in (ROW_ID, PARENT_ID)})
            case Verb.SQL | Verb.UNTIL:
                return query_columns(self, step)
            case Verb.UNION:
                return self._union(step)
            case Verb.TEST:
                return test_columns(self, step)
            case Verb.ROOTS:
                return Columns()
            case _:
                return self._operator(step)

    def _operator(self, step: Step) -> Columns | None:
        assert step.operator is not None
        view = self.views[step.sources[0]]
        reads = self.reads(step, view)
        expressions = self._expressions(step, view)
        rewards = reward_columns(self, step, reads, view)
        read = [*reads.values(), *(name for sql in expressions.values() for name in named(sql, view))]
        owners = {name: view[name].owner for name in read}
        for found in rewards.values():
            owners |= found.owners
        declared = self.declared(step)
        names = score_columns(step.rename, declared)
        writes = {names[name]: t for name, t in declared.items()}
        if step.verb is Verb.SCORE:
            self._check_new(step, writes, view)
        return Columns(reads, expressions, owners, writes, self._sides(step), rewards)

    def declared(self, step: Step) -> dict[str, pa.DataType]:
        """What a step's operator writes, under its own names."""
        assert step.operator is not None
        model = step.models_by_role.get(MODEL)
        dim = None if model is None else self.backends[model].embedding_dim()
        return dict(step.operator.writes_of(step.params, dim))

    def reads(self, step: Step, view: View) -> dict[str, str]:
        """The operator's inputs, and the columns of a view that they are read from; what is wrong is noted."""
        assert step.operator is not None
        declared, before = dict(step.operator.reads_of(step.params)), len(self.problems)
        known = {*declared, *(f"{side}.{name}" for side, of in step.operator.sides.items() for name in of.reads)}
        for name in step.mapping.keys() - known:
            hint = did_you_mean(name, known)
            self.problem(step, ("columns", name), f"{step.label} reads no column of this name{hint}", of="key")
        reads = self._found(step, declared, view, step.sources[0])
        if step.verb is Verb.TRAIN and not reads and len(self.problems) == before:  # each is optional, but not all
            self._missing(step, (), next(iter(declared)), tuple(declared), (step.sources[0], view))
        return reads

    def _found(
        self, step: Step, declared: Mapping[str, Reads], view: View, table: str, side: str = ""
    ) -> dict[str, str]:
        """The columns of a table that an operator's inputs are read from; `side` is `NAME.` for a side table's."""
        reads = {}
        for name, wanted in declared.items():
            key = f"{side}{name}"
            candidates = (step.mapping[key],) if key in step.mapping else wanted.default or (name,)
            column = next((c for c in candidates if c in view), None)
            at: tuple[str, ...] = ("columns", key) if key in step.mapping else ()
            if column is None:
                if not wanted.optional or at:
                    self._missing(step, at, key, candidates, (table, view))
            elif not wanted.type.accepts(view[column].type):
                found = f"column {column!r} is {view[column].type}"
                self.problem(step, at, f"{step.label} reads {key} as {wanted.type}, and {found}")
            else:
                reads[name] = column
        return reads

    def _sides(self, step: Step) -> dict[str, Columns]:
        """What is read of each side table that the spec gives."""
        assert step.operator is not None
        sides = {}
        for side, table in step.sides.items():
            view = self.views[table]
            reads = self._found(step, step.operator.sides[side].reads, view, table, f"{side}.")
            sides[side] = Columns(reads, owners={name: view[name].owner for name in reads.values()})
        return sides

    def _missing(
        self, step: Step, at: tuple[str, ...], name: str, candidates: Sequence[str], given: tuple[str, View]
    ) -> None:
        table, view = given
        wanted = " or ".join(repr(c) for c in candidates)
        hint = did_you_mean(candidates[0], view)
        if step.begins and table == step.sources[0]:
            self.problem(step, (), f"{step.label} reads the column {wanted}: give it a table by `from`")
            return
        cure = "" if at else f"; point columns.{name} at another"
        lacking = f"which {table} doesn't have{hint}{cure}"
        self.problem(step, at, f"{step.label} reads the column {wanted}, {lacking}")

    def _expressions(self, step: Step, view: View) -> dict[str, str]:
        assert step.operator is not None
        found = step.operator.expressions_of(step.params)
        self.expressions += [(step, name, text, schema_of(view)) for name, text in found.items()]
        return found

    def _bind_expressions(self) -> None:
        """Bind the expressions of all steps together: nothing depends on what they give."""
        failures = unbound((text, schema) for _, _, text, schema in self.expressions)
        for step, name, text, schema in self.expressions:
            if (text, schema) in failures:
                given = step.params is not None and name in step.params.model_fields_set
                self.problem(step, ("params", name) if given else (), f"{name}: {failures[text, schema]}")

    def _union(self, step: Step) -> Columns | None:
        """All columns of all inputs; a column must have one type wherever it occurs."""
        writes: dict[str, pa.DataType] = {}
        owners = {}
        for table in step.sources:
            for name, column in self.views[table].items():
                owners[f"{table}.{name}"] = column.owner
                if writes.setdefault(name, column.type) != column.type:
                    self.problem(
                        step, (), f"column {name!r} is {writes[name]} in one table and {column.type} in {table}"
                    )
        return Columns(owners=owners, writes={n: t for n, t in writes.items() if n not in (ROW_ID, PARENT_ID)})

    def _check_new(self, step: Step, writes: Mapping[str, pa.DataType], view: View) -> None:
        for name in writes.keys() & (view.keys() | {ROW_ID, PARENT_ID}):
            other = view[name].owner if name in view else "the engine"
            self.problem(
                step,
                (),
                f"{step.name} and {other} both write the column {name!r}; give this score another name by `as:`",
            )

    def _check_round(self, step: Step, columns: Columns) -> None:
        """The engine itself has a name for the column that tells rounds apart."""
        shown = self.views[step.table] if step.verb is Verb.SELECT else columns.writes
        if step.round is not None and ROUND in shown:
            self.problem(
                step, (), f"a table of rounds can't have a column {ROUND!r}, which tells them apart; name it otherwise"
            )

    def _publish(self, step: Step, columns: Columns) -> None:
        """Show the step's columns to those who read its table."""
        own = {name: Column(t, step.name) for name, t in columns.writes.items()}
        if step.verb is Verb.SCORE:
            self.views[step.table] |= own
        elif step.verb is Verb.SELECT:
            inherited = {n: c for n, c in self.views[step.sources[0]].items() if n not in PICK_COLUMNS}
            picks = {name: Column(VERDICT.field(name).type, step.name) for name in PICK_COLUMNS}
            self.views[step.table] = inherited | picks
        elif step.verb not in (Verb.TEST, Verb.TRAIN, Verb.UNTIL):
            ids = {f.name: Column(f.type, step.name) for f in ID_FIELDS}
            self.views[step.table] = ids | own

    def problem(self, step: Step, at: tuple[str | int, ...], message: str, of: str = "value") -> None:
        """Note what is wrong with a step, or at a key within it."""
        path = (*step.path, *at)
        self.problems.append(self.spec.problem(path, message, "key" if of == "key" or not at else "value"))


def _texts(step: Step) -> Iterator[str]:
    """All SQL of a step."""
    if step.verb is Verb.SQL and step.text is not None:
        yield step.text
    if step.operator is not None:
        yield from map(as_query, step.operator.expressions_of(step.params).values())
    yield from (test.args.query for test in step.tests if isinstance(test.args, Sql))
    yield from (as_query(reward.text) for reward in step.rewards if reward.text is not None)
