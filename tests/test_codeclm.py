"""CodecLM as its spec has it, through a real server on loopback, from the published seeds of Self-Instruct."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import codeclm_world as world
import duckdb
import fake_server as served
import pytest
import yaml
from fake_server import FakeServer

from engine.assets import folder
from engine.builds import build
from engine.catalog import connect
from engine.ledger import Ledger
from engine.plan import make_plan
from engine.spec.load import load_spec
from engine.store import Store

SEEDS = Path(__file__).parents[1] / "../shared/data/instructions/self_instruct_seed.parquet"
ENDS = {
    "strong": "accepted_strong", "target": "accepted_target", "close": "exhausted", "unreadable": "parse_failed",
}  # fmt: skip
SHOWN = ["Name three rivers.", "Tell me how a letter finds its way in a town without names."]
LOOP = ("metadata_id", "basic_instruction", "instruction", "status", "iteration", "action_history", "response")


RECIPE = folder("specs") / "codeclm.yaml"


class Built:
    """The recipe's tables without its training, and SQL over them."""

    def __init__(self, home: Path) -> None:
        self.spec, self.home = load_spec(RECIPE), home
        self.plan = make_plan(self.spec, Store(home))
        self.report = build(self.spec, home, selection="+training +outcomes +rubrics")

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        ledger = Ledger(self.home)
        con = connect(Store(self.home), ledger, self.spec.name)
        try:
            return con.sql(query).fetchall()
        finally:
            con.close()
            ledger.close()

    def count(self, table: str, where: str = "true") -> int:
        return int(self.sql(f"SELECT count(*) FROM {table} WHERE {where}")[0][0])


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """The shipped spec at its own numbers: 200 pairs with ten instructions each."""
    if not SEEDS.exists():
        pytest.skip(f"{SEEDS} is not here")
    with pytest.MonkeyPatch.context() as monkeypatch, FakeServer() as server:
        monkeypatch.setattr(served, "reply", world.reply)
        for name in ("OPENAI_BASE_URL", "TARGET_BASE_URL"):
            monkeypatch.setenv(name, server.url)
        for name, value in {"TEACHER": "strong", "TARGET": "target", "STUDENT": "none", "SEEDS": str(SEEDS)}.items():
            monkeypatch.setenv(name, value)
        yield Built(tmp_path_factory.mktemp("codeclm"))


def test_metadata_of_the_seeds(recipe):
    assert recipe.count("seeds") == recipe.count("encoded") == 175
    never = recipe.count("encoded", "use_case IS NULL")
    assert 0 < never < 20
    assert recipe.count("encoded", "reason = 'no line: use case' AND tries = 3 AND raw <> ''") == never
    assert recipe.count("drops", "drop_reason = 'no metadata'") == never
    assert recipe.sql("SELECT max(len(skills)) FROM encoded") == [(3,)]


def test_200_distinct_pairs_and_the_same_number_of_instructions_for_each(recipe):
    assert recipe.sql("SELECT count(*), count(DISTINCT metadata_id) FROM metadata") == [(200, 200)]
    known = "SELECT unnest(skills) FROM encoded"
    assert recipe.count("(SELECT unnest(skills) AS skill FROM metadata)", f"skill NOT IN ({known})") == 0
    assert recipe.count("metadata", "use_case NOT IN (SELECT use_case FROM readable)") == 0
    pairs = recipe.count("with_rubrics")
    assert 0 < recipe.count("metadata", "rubrics_reason = '0 actions instead of 4'") == 200 - pairs < 20
    assert recipe.count("rubrics") == 4 * pairs
    assert recipe.sql("SELECT min(n), max(n) FROM (SELECT count(*) AS n FROM rubrics GROUP BY metadata_id, rank)") == [
        (1, 1)
    ]
    short = recipe.sql("SELECT count(*) FROM (SELECT metadata_id FROM basic GROUP BY ALL HAVING count(*) < 10)")[0][0]
    assert recipe.count("basic") == 10 * pairs - short
    assert short <= 2, "a list that is too short is asked for three times"


def test_every_loop_ends_as_the_world_has_it(recipe):
    rows = recipe.sql(f"SELECT {', '.join(LOOP)} FROM written")
    assert len(rows) == recipe.count("basic")
    for _, basic, instruction, status, iteration, actions, response in rows:
        assert instruction == basic + "".join(f" Also, {action.lower()}" for action in actions)
        assert len(actions) == iteration - 1 <= 3
        assert status == ENDS[world.decided(instruction)]
        source = {"accepted_strong": "strong", "accepted_target": "target"}.get(status)
        assert response == (source and f"{source}: an answer to {instruction}")
    assert {status for _, _, _, status, *_ in rows} == set(ENDS.values())


def test_only_accepted_rows_reach_the_training_and_the_others_are_counted(recipe):
    outcomes = Counter()
    for _, _, status, _, number, _ in recipe.sql("SELECT * FROM outcomes"):
        outcomes[status] += number
    accepted = outcomes["accepted_strong"] + outcomes["accepted_target"]
    assert recipe.count("training") == accepted
    assert recipe.count("training", "response IS NULL OR messages IS NULL OR status NOT LIKE 'accepted%'") == 0
    assert recipe.count("drops", "drop_reason = 'not accepted'") == outcomes["exhausted"] + outcomes["parse_failed"]
    assert recipe.count("written", "reason IS NULL") == accepted


def test_calls_by_the_formula(recipe):
    """Each iteration: a rewrite from the second on, an answer of both models, two verdicts and those asked again."""
    rows = recipe.sql("SELECT iteration, list_sum(list_transform(history, lambda h: h.judge_retries)) FROM written")
    strong = sum(4 * n - 1 + retries for n, retries in rows)
    calls = dict(recipe.sql("SELECT model, count(*) FROM calls WHERE node = 'written' GROUP BY model"))
    assert calls == {"strong": strong, "target": sum(n for n, _ in rows)}


def test_the_figures_of_the_recipes_page(recipe):
    assert (recipe.count("calls"), recipe.count("training"), recipe.count("basic")) == (13420, 1765, 1930)
    by_node = dict(recipe.sql("SELECT node, count(*) FROM calls WHERE node <> 'written' GROUP BY node"))
    assert by_node == {"encoded": 210, "metadata.self_rubrics": 233, "basic": 210}


def test_the_plan_held(recipe):
    totals = "count(*) AS calls, sum(tokens_in) AS tokens_in, sum(tokens_out) AS tokens_out"
    for node, *asked in recipe.sql(f"SELECT node, {totals} FROM calls GROUP BY node"):
        planned = recipe.plan.steps[node].estimate
        for span, found in zip((planned.calls, planned.tokens_in, planned.tokens_out), asked, strict=True):
            assert span.low <= found <= (math.inf if span.high is None else span.high), (node, span, found)


@pytest.mark.parametrize(
    ("instruction", "overlaps"),
    [
        ("Name three rivers.", True),  # a short seed, as a whole
        ("name three RIVERS", True),
        ("Name three rivers of Asia.", False),
        ("First tell me how a letter finds its way, in a town without names.", True),  # eight words in a row
        ("How a letter finds its way through a town.", False),
    ],
)
def test_instructions_that_overlap_a_seed_are_seen(instruction, overlaps):
    spec = yaml.safe_load((folder("specs") / "codeclm.yaml").read_text())
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE encoded AS SELECT 's' || i AS row_id, unnest(?) AS seed_instruction FROM range(1) t(i)", [SHOWN]
    )
    con.execute("CREATE TABLE written AS SELECT 'r' AS row_id, ? AS instruction", [instruction])
    assert con.sql(spec["tables"]["overlap"]["sql"]).fetchall() == [("r", instruction, overlaps)]
