"""Tables that begin without another table; the generator of these tests asks its model for a sentence a row."""

from __future__ import annotations

import sys

import pyarrow as pa
import pytest
from project import Project

from engine.catalog import connect
from engine.errors import ModelError, SpecError
from engine.explore.why import life
from engine.ledger import Ledger
from engine.operator import Operator, Params, Reads, generator
from engine.plan.spans import exactly
from engine.request import Capability
from engine.schema import TEXT_TYPE, child_row_id
from engine.spec import uses
from engine.store import Store

SPEC = """
models:
  teacher: {use: scripted, params: {replies: [{reply: [red, green, blue, white, black]}]}}
tables:
  pool:
    generate: begin
    model: teacher
    params: {rows: ROWS}
    scores: [{score: length, columns: {text: text}}]
  kept:
    select: filter
    from: pool
    params: {where: n_chars > 0}
"""


class BeginParams(Params):
    rows: int = 4


@pytest.fixture(autouse=True)
def begin(monkeypatch) -> Operator:
    """The operator `generate: begin`, as if its file stood among the others."""

    async def speak(row, params, ctx):
        if row["row_id"] in failing:
            raise ModelError("no answer")
        answer = await ctx.model.chat([{"role": "user", "content": "Speak."}], draw=ctx.draw(row["row_id"]))
        return [{"text": answer.text}]

    failing: set[str] = set()
    decorate = generator(
        params=BeginParams,
        reads={"topic": Reads(TEXT_TYPE, optional=True)},
        writes={"text": pa.string()},
        needs={Capability.CHAT},
        roots=lambda params: params.rows,
    )
    speak.__module__ = "operators.begin"
    made = decorate(speak)
    made.params.failing = failing  # type: ignore[attr-defined]
    for module in (uses, sys.modules["engine.plan.resolve"]):  # which the package shows as a function
        real = module.operator
        monkeypatch.setattr(
            module, "operator", lambda kind, name, real=real: made if name == "begin" else real(kind, name)
        )
    names = uses.operator_names
    monkeypatch.setattr(uses, "operator_names", lambda kind: (*names(kind), "begin"))
    return made


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path).spec(SPEC.replace("ROWS", "6"))


def ids(n):
    return [child_row_id(child_row_id("", "begin", k), "begin", 0) for k in range(n)]


def test_rows_begin_without_parents(project):
    states = project.states()
    assert states["pool.from"] == states["pool"] == states["kept"] == "built"
    assert set(project.states().values()) == {"cached"}
    found = project.sql("SELECT row_id, parent_id FROM pool")
    assert [row for row, _ in found] == ids(6)
    assert {parent for _, parent in found} == {None}
    assert len({text for (text,) in project.sql("SELECT text FROM pool")}) > 1, "the rows draw each for itself"


def test_more_rows_keep_the_ids_draws_and_calls_of_the_first(project):
    project.build()
    before = dict(project.sql("SELECT row_id, text FROM pool"))
    assert project.calls() == 6
    project.spec(SPEC.replace("ROWS", "9"))
    plan = project.plan()
    assert (plan.steps["pool"].estimate.rows, plan.steps["pool"].estimate.calls) == (exactly(9), exactly(3))
    assert plan.steps["pool.from"].why == ("rows: 6 -> 9",)
    project.build()
    assert project.calls() == 9
    after = dict(project.sql("SELECT row_id, text FROM pool"))
    assert list(after) == ids(9)
    assert {row: after[row] for row in before} == before


def test_a_limit_is_a_smaller_number_of_rows(project):
    project.build(limit=2)
    assert project.sql("SELECT count(*) FROM pool") == [(2,)]
    project.build()
    assert project.calls() == 6
    assert [row for (row,) in project.sql("SELECT row_id FROM pool")] == ids(6)


def test_the_catalog_and_why_know_the_calls_behind_a_row(project):
    project.build()
    assert project.sql("SELECT count(*), count(parent_table) FROM lineage WHERE table_name = 'pool'") == [(6, 0)]
    assert sorted(project.sql("SELECT row_id FROM row_calls WHERE step = 'pool'")) == sorted((i,) for i in ids(6))
    ledger, store = Ledger(project.home), Store(project.home)
    con = connect(store, ledger, "trial")
    found = life(store, con, "trial", "kept", ids(6)[3])
    con.close()
    ledger.close()
    assert [stage.table for stage in found.stages] == ["pool", "kept"]
    (call,) = found.stages[0].calls
    assert call.made == "text"


def test_a_row_that_failed_is_tried_again(project, begin):
    begin.params.failing.add(child_row_id("", "begin", 2))
    assert project.states()["pool"] == "incomplete"
    assert project.sql("SELECT row_id, step FROM errors") == [(child_row_id("", "begin", 2), "pool")]
    assert project.sql("SELECT count(*) FROM pool") == [(5,)]
    begin.params.failing.clear()
    assert project.states()["pool"] == "built"
    assert [row for (row,) in project.sql("SELECT row_id FROM pool")] == ids(6)


def test_a_column_can_only_come_from_a_table(project):
    project.spec(SPEC.replace("{rows: ROWS}", "{rows: 2}\n    columns: {topic: subject}"))
    with pytest.raises(SpecError, match="reads the column 'subject': give it a table by `from`"):
        project.plan()


def test_a_generator_without_roots_needs_a_table(tmp_path):
    project = Project(tmp_path).spec(SPEC.replace("begin", "respond").replace("{rows: ROWS}", "{n: 1}"))
    with pytest.raises(SpecError, match=r"tables.pool.from: missing \(generate: respond reads prompt from a table\)"):
        project.plan()
