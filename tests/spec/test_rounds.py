"""Rounds in a spec: the nodes that they become, what names mean in them, and what is wrong with them, where it is."""

import contextlib
import copy
import json

import pytest
import yaml

from engine.errors import SpecError
from engine.spec.load import ended_after, load_spec

LOOP = """
  count: 3
  first: {kept: pool}
  tables:
    drafts: {generate: respond, from: kept@previous, model: base}
    kept: {select: random, from: drafts, params: {k: 2}}
"""

TRAINED = """
  count: 2
  first: {student: tiny, kept: null}
  models:
    student: {train: sft, base: student@previous, data: [kept, pool]}
  tables:
    kept:
      generate: respond
      from: [kept@previous, pool]
      model: student@previous
      scores: [{score: deita_quality, model: student@previous, as: before}, {score: deita_quality, model: base}]
"""


@pytest.fixture
def load(tmp_path):
    def load(loop=LOOP, tables="", rest=""):
        path = tmp_path / "spec.yaml"
        path.write_text(
            "version: 1\nname: trial\n"
            "models:\n  base: {use: scripted, params: {default: yes}}\n  tiny: {use: embedded}\n"
            f"tables:\n  pool: {{source: pool.jsonl}}\n{tables}rounds:{loop}{rest}",
            encoding="utf-8",
        )
        return load_spec(path)

    return load


@pytest.fixture
def problems(load):
    """What is said of a spec, each as `line: path: message`."""

    def problems(*args, **options):
        with pytest.raises(SpecError) as error:
            load(*args, **options)
        return [f"{problem.place.line}: {problem.path}: {problem.message}" for problem in error.value.problems]

    return problems


def paths(value, path=()):
    """Every place in nested values."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from paths(item, (*path, key))


@pytest.mark.parametrize("junk", [None, 3, "kept@previous", [[1]], {"kept": None}], ids=str)
def test_whatever_stands_in_the_place_of_a_value_is_told_and_never_a_crash(load, junk):
    rounds = yaml.safe_load(TRAINED + "  change: [{round: 2, tables: {kept: {model: base}}}]\n  until: FROM kept\n")
    for path in paths(rounds):
        changed = copy.deepcopy(rounds)
        place = changed
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = junk
        with contextlib.suppress(SpecError):
            load(f" {json.dumps(changed)}\n")


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


def test_what_is_nothing_can_not_stand_alone(problems):
    cure = "name under rounds.first a node that stands in for it"
    assert problems(LOOP.replace("{kept: pool}", "{kept: null}")) == [
        f"12: rounds.tables.drafts.from: kept@previous is nothing in round 1; {cure}"
    ]
    assert problems(LOOP.replace("{kept: pool}", "{kept: null}").replace("kept@previous", "[kept@previous]")) == [
        f"12: rounds.tables.drafts.from: all of these are nothing in round 1; {cure}"
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


def test_a_mistake_in_what_repeats_is_told_once_where_it_is_written(problems):
    assert problems(LOOP.replace("{k: 2}", "{n: 2}").replace("model: base", "model: bass")) == [
        "12: rounds.tables.drafts.model: unknown model 'bass' (did you mean 'base'?)",
        "13: rounds.tables.kept.params.n: unknown parameter of select: random (one of: k, share)",
    ]


def test_a_mistake_in_a_change_is_told_there(problems):
    changes = [
        "{round: 2, tables: {kept: {params: {n: 5}}}}",
        "{round: 4, tables: {kep: {params: {k: 5}}}}",
        "{tables: {}}",
    ]
    assert problems(LOOP + "  change:\n" + "".join(f"    - {change}\n" for change in changes)) == [
        "15: rounds.change.0.tables.kept.params.n: unknown parameter of select: random (one of: k, share)",
        "16: rounds.change.1.round: there are 3 rounds, found 4",
        "16: rounds.change.1.tables.kep: no such node repeats in these rounds (did you mean 'kept'?)",
        "17: rounds.change.2.round: missing (a change says in which round)",
    ]


INSIDE = "rounds.tables.drafts.from"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("keptt@previous", "'keptt' does not repeat in rounds (did you mean 'kept'?)"),
        ("kept@2", "inside rounds, write kept for this round's and kept@previous for the last round's"),
        ("kept@last", "inside rounds, write kept for this round's and kept@previous for the last round's"),
        ("drafts@previous", "round 1 has no previous drafts; say under rounds.first what stands in for it, or null"),
        ("drafst", "unknown table 'drafst' (did you mean 'drafts'?)"),
        ("base", "'base' is a model, not a table"),
    ],
)
def test_names_inside_that_mean_nothing(problems, name, message):
    assert problems(LOOP.replace("from: kept@previous", f"from: {name}")) == [f"12: {INSIDE}: {message}"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kept", "kept repeats in rounds; name one of them: kept@last, or kept@1 for the first"),
        ("kept@previous", "kept@previous has a meaning inside rounds only; here, name kept@last or kept@1"),
        ("kept@9", "kept has no round '9' (did you mean 'kept@3'?)"),
        ("kept@0", "kept has no round '0' (did you mean 'kept@3'?)"),
        ("pool@last", "'pool' does not repeat in rounds (one of: drafts, kept)"),
        ("kpt", "unknown table 'kpt' (one of: best, drafts@last, kept@last, pool)"),
    ],
)
def test_names_outside_that_mean_nothing(problems, name, message):
    tables = f"  best: {{select: random, from: {name}, params: {{k: 1}}}}\n"
    assert problems(tables=tables) == [f"8: tables.best.from: {message}"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("FROM kept@last", 'write "kept@last" in double quotes'),
        ('FROM "kept@7"', "kept has no round '7' (did you mean 'kept@3'?)"),
        ('FROM "pool@2"', "'pool' does not repeat in rounds (one of: drafts, kept)"),
    ],
)
def test_names_in_sql_that_mean_nothing(problems, query, message):
    assert problems(tables=f"  best:\n    sql: |\n      {query}\n") == [f"10: tables.best.sql: {message}"]


def test_sql_in_rounds_can_not_read_nothing(problems):
    loop = LOOP.replace("{kept: pool}", "{kept: pool, drafts: null}")
    assert problems(loop + "    old: {sql: 'FROM \"drafts@previous\"'}\n") == [
        "14: rounds.tables.old.sql: drafts@previous is nothing in round 1; "
        "name under rounds.first a table that stands in for it"
    ]


def test_a_test_in_rounds_sees_its_table_by_its_own_name(load, problems):
    tests = LOOP.replace("params: {k: 2}", "params: {k: 2}, tests: [{sql: 'FROM kept WHERE false'}]")
    assert load(tests).tables["kept@2"].tests
    assert problems(tests.replace("FROM kept", "FROM drafts")) == [
        "13: rounds.tables.kept.tests.0.sql: a test sees no table but its own, kept: 'drafts'"
    ]


def test_the_head_of_rounds_is_checked(problems):
    head = "\n  first: {kep: pool, kept: kept}\n  tables:\n    kept: {source: a.jsonl}\n"
    assert problems(head) == [
        "8: rounds.count: missing (rounds say how many there are)",
        "9: rounds.first.kep: 'kep' does not repeat in these rounds (did you mean 'kept'?)",
        "9: rounds.first.kept: before round 1 nothing of the rounds is there; name a node that stands outside, or null",
    ]
    assert problems(" {count: 0}\n") == [
        "8: rounds.tables: missing (rounds have at least one table)",
        "8: rounds.count: must be at least 1, found the integer 0",
    ]


def test_names_are_shared_with_what_stands_outside(problems):
    names = "".join(f"    {name}: {{source: a.jsonl}}\n" for name in ("tiny", "KEPT", "errors"))
    assert problems(LOOP + names) == [
        "14: rounds.tables.tiny: the name is taken by models.tiny; tables and models share names",
        "15: rounds.tables.KEPT: a name is made of a-z, 0-9 and _, and begins with a letter",
        "16: rounds.tables.errors: errors is a view of the catalog; take another name",
    ]


def test_what_stands_on_a_later_round_can_not_stand_in_an_earlier_one(problems):
    best = "  best: {select: random, from: kept@last, params: {k: 1}}\n"
    assert problems(LOOP.replace("from: kept@previous", "from: best"), tables=best) == [
        "13: rounds.tables.drafts.from: cycle: best -> kept@3 -> drafts@3 -> best"
    ]
    said = problems("\n  until: SELECT count(*) > 3 FROM best" + LOOP, tables=best)
    assert "10: rounds.until: cycle: best -> kept@3 -> drafts@3 -> rounds.until@2 -> best" in said
