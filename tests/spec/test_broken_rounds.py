"""What is wrong with rounds, told where it is written: once for all rounds, and never by a crash."""

import contextlib
import copy
import json
from functools import partial

import in_rounds
import pytest
import yaml
from in_rounds import LOOP, TRAINED

from engine.errors import SpecError


@pytest.fixture
def load(tmp_path):
    return partial(in_rounds.load, tmp_path)


@pytest.fixture
def problems(tmp_path):
    return partial(in_rounds.problems, tmp_path)


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


def test_what_is_nothing_can_not_stand_alone(problems):
    cure = "name under rounds.first a node that stands in for it"
    assert problems(LOOP.replace("{kept: pool}", "{kept: null}")) == [
        f"12: rounds.tables.drafts.from: kept@previous is nothing in round 1; {cure}"
    ]
    assert problems(LOOP.replace("{kept: pool}", "{kept: null}").replace("kept@previous", "[kept@previous]")) == [
        f"12: rounds.tables.drafts.from: all of these are nothing in round 1; {cure}"
    ]


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
