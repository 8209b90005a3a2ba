"""Rounds in a spec: the nodes that they become, and what names mean in them. What is wrong: `test_broken_rounds`."""

from functools import partial

import in_rounds
import pytest
from in_rounds import LOOP, TRAINED

from engine.spec.load import ended_after


@pytest.fixture
def load(tmp_path):
    return partial(in_rounds.load, tmp_path)


@pytest.fixture
def problems(tmp_path):
    return partial(in_rounds.problems, tmp_path)


def test_what_repeats_becomes_a_node_of_each_round(load):
    spec = load()
    assert list(spec.tables) == ["pool", "drafts@1", "kept@1", "drafts@2", "kept@2", "drafts@3", "kept@3"]
    assert [spec.tables[f"drafts@{i}"].inputs for i in (1, 2, 3)] == [("pool",), ("kept@1",), ("kept@2",)]
    assert spec.tables["kept@3"].inputs == ("drafts@3",)


def test_models_scores_and_lists_name_nodes_too(load):
    spec = load(TRAINED)
    first, second = spec.tables["kept@1"], spec.tables["kept@2"]
    assert (first.inputs, second.inputs) == (("pool",), ("kept@1", "pool"))
    assert (first.models, second.models) == ({"model": "tiny"}, {"model": "student@1"})
    assert [score.models["model"] for score in second.scores] == ["student@1", "base"]
    assert [score.name for score in second.scores] == ["kept@2.before", "kept@2.deita_quality"]
    assert (spec.trained["student@1"].base, spec.trained["student@2"].base) == ("tiny", "student@1")
    assert spec.trained["student@2"].data == ("kept@2", "pool")


def test_handoffs_and_tables_outside_name_a_round(load):
    spec = load(
        TRAINED,
        tables="  best: {select: random, from: kept@last, params: {k: 1}}\n",
        rest="handoffs: {out: {data: kept@1, format: sft, base: student@last}}\n",
    )
    assert spec.tables["best"].inputs == ("kept@2",)
    assert (spec.handoffs["out"].data, spec.handoffs["out"].base) == ("kept@1", "student@2")


def test_endpoints_name_a_model_of_a_round(load):
    loop = LOOP.replace("model: base", "model: remote").replace(
        "  tables:", "  models: {remote: {use: openai, model: m, base_url: 'http://a/v1'}}\n  tables:"
    )
    spec = load(loop, rest="run: {endpoints: {remote@last: 'http://b/v1'}}\n")
    assert [spec.models[f"remote@{i}"].config.base_url for i in (1, 2, 3)] == ["http://a/v1"] * 2 + ["http://b/v1"]


def test_a_key_of_the_environment_may_stand_in_rounds_as_elsewhere(load, problems, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "secret")
    models = "  models: {remote: {use: openai, model: m, base_url: 'http://a/v1', api_key: '${MY_API_KEY}'}}\n  tables:"
    spec = load(LOOP.replace("  tables:", models))
    assert spec.models["remote@1"].config.api_key.get_secret_value() == "secret"
    (said,) = problems(LOOP.replace("model: base", "model: base, params: {system: '${MY_API_KEY}'}"))
    assert "rounds.tables.drafts.params.system: MY_API_KEY has a secret's name" in said


def test_what_is_nothing_in_round_1_is_left_out_of_lists_and_side_tables(load):
    loop = """
  count: 2
  first: {kept: null}
  tables:
    kept: {generate: respond, from: [pool, kept@previous], model: base}
"""
    spec = load(loop)
    assert (spec.tables["kept@1"].inputs, spec.tables["kept@2"].inputs) == (("pool",), ("pool", "kept@1"))


def test_names_that_come_to_mean_one_table_are_read_once(load, problems):
    loop = LOOP.replace("from: kept@previous", "from: [kept@previous, pool]")
    both = "  both: {select: random, from: [kept@2, kept@3], params: {k: 1}}\n"
    spec = load(loop, tables=both)
    assert (spec.tables["drafts@1"].inputs, spec.tables["both"].inputs) == (("pool",), ("kept@2", "kept@3"))
    assert ended_after(spec, 2).tables["both"].inputs == ("kept@2",)
    assert problems(LOOP.replace("from: kept@previous", "from: [pool, pool]")) == [
        "12: rounds.tables.drafts.from.1: pool stands in this list already"
    ]


def test_a_change_holds_for_its_round_alone(load):
    spec = load(LOOP + "  change: [{round: 2, tables: {kept: {params: {k: 5}, tags: [wide]}}}]\n")
    assert [spec.tables[f"kept@{i}"].params.k for i in (1, 2, 3)] == [2, 5, 2]
    assert [spec.tables[f"kept@{i}"].tags for i in (1, 2, 3)] == [(), ("wide",), ()]


def test_names_in_sql_mean_this_round_the_last_one_or_all(load):
    loop = LOOP + """    both: {sql: 'SELECT * FROM kept UNION ALL BY NAME FROM "kept@previous"'}\n"""
    all_of = '  counts: {sql: \'SELECT round FROM kept, "kept@last", "kept@2"\'}\n'
    spec = load(loop, tables=all_of)
    assert spec.tables["both@1"].names == {"kept": "kept@1", "kept@previous": "pool"}
    assert spec.tables["both@3"].names == {"kept": "kept@3", "kept@previous": "kept@2"}
    assert spec.tables["both@3"].sql == spec.tables["both@1"].sql
    names = {"kept": ("kept@1", "kept@2", "kept@3"), "kept@last": "kept@3", "kept@2": "kept@2"}
    assert spec.tables["counts"].names == names


def test_a_stop_rule_is_asked_between_rounds_over_those_so_far(load):
    spec = load("\n  until: SELECT count(*) > 5 FROM kept, pool" + LOOP)
    assert [rule.name for rule in spec.rounds.stop_rules] == ["rounds.until@1", "rounds.until@2"]
    assert spec.rounds.stop_rules[1].names == {"kept": ("kept@1", "kept@2"), "pool": "pool"}


def test_a_spec_whose_rounds_have_ended_is_one_of_fewer_rounds(load):
    tables = "  best: {sql: 'FROM \"kept@last\"'}\n  third: {sql: 'FROM \"kept@3\"'}\n  all: {sql: 'FROM kept'}\n"
    spec = ended_after(load("\n  until: SELECT count(*) > 5 FROM kept" + LOOP, tables=tables), 2)
    assert not [name for name in spec.tables if name.endswith("@3")]
    assert (spec.tables["best"].inputs, spec.tables["third"].inputs) == (("kept@2",), ("kept@2",))
    assert spec.tables["all"].names == {"kept": ("kept@1", "kept@2")}
    assert [rule.name for rule in spec.rounds.stop_rules] == ["rounds.until@1", "rounds.until@2"]


def test_a_test_in_rounds_sees_its_table_by_its_own_name(load, problems):
    tests = LOOP.replace("params: {k: 2}", "params: {k: 2}, tests: [{sql: 'FROM kept WHERE false'}]")
    assert load(tests).tables["kept@2"].tests
    assert problems(tests.replace("FROM kept", "FROM drafts")) == [
        "13: rounds.tables.kept.tests.0.sql: a test sees no table but its own, kept: 'drafts'"
    ]
