"""`ops`: all that there is, and all that is known of each."""

import pytest
from story import run, shell

from engine.operator import Kind
from engine.registry import backend_names, operator_names
from engine.shapes import SHAPES


def test_everything_is_listed():
    lines = run("ops").out.splitlines()
    names = {line.split("  ")[0] for line in lines[1:]}
    wanted = {f"{kind}: {name}" for kind in Kind for name in operator_names(kind)}
    assert names == wanted | {f"shape: {name}" for name in SHAPES} | {f"use: {name}" for name in backend_names()}
    assert all(line.split("  ", 1)[1].strip() for line in lines), "each says what it does"
    [hashing] = [line for line in lines if line.startswith("use: hashing")]
    assert hashing.endswith("(embed)")


def test_an_operator_in_full():
    [deita] = run("ops", "deita", "--json").json
    assert (deita["kind"], deita["version"], deita["needs"]) == ("select", 1, [])
    assert deita["reads"] == [
        {"name": "embedding", "type": "embedding (fixed_size_list<float>)", "columns": ["embedding"], "optional": False}
    ]
    params = {p["name"]: p for p in deita["params"]}
    assert (params["budget"]["type"], params["budget"]["required"]) == ("integer >= 1", True)
    assert (params["max_similarity"]["type"], params["max_similarity"]["default"]) == ("number > 0, <= 1", 0.9)
    assert params["score"]["type"] == "SQL expression"
    text = run("ops", "deita").out
    assert text.startswith("select: deita (version 1)\n\nWalks the rows by falling score")
    assert "budget          integer >= 1      required" in text
    assert "A dropped row is a `near_duplicate`" in text


def test_what_an_operator_reads_and_writes():
    [respond] = run("ops", "respond", "--json").json
    assert respond["reads"][0]["columns"] == ["prompt", "messages", "instruction", "text"]
    assert {"name": "response", "type": "string"} in respond["writes"]
    assert {p["name"]: p["default"] for p in respond["params"]}["n"] == 1
    assert "embedding  embedding (fixed_size_list<float>)" in run("ops", "embedding").out


def test_a_name_of_several_kinds_gives_them_all():
    assert [r["kind"] for r in run("ops", "openai", "--json").json] == ["shape", "use"]
    [_, backend] = run("ops", "openai", "--json").json
    assert backend["offers"] == ["chat", "embed", "generate", "loglikelihood", "next_token_logprobs"]
    assert backend["requires"] == ["model"]


@pytest.mark.parametrize("name", [r["name"] for r in run("ops", "--json").json])
def test_all_details_can_be_shown(name):
    assert run("ops", name).out.strip()


def test_an_unknown_name():
    outcome = run("ops", "dieta")
    assert (outcome.code, "(did you mean 'deita'?)" in outcome.err) == (2, True)


def test_in_a_process_of_its_own():
    outcome = shell("ops", "top_k")
    assert (outcome.code, outcome.out.splitlines()[0]) == (0, "select: top_k (version 1)")
