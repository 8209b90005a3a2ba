"""Chains of rewrites and their joint ranking, by a stub of a model that counts and remembers what it is asked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from operators.fakes import FakeContext
from project import Project
from pydantic import ValidationError

from engine.errors import RowError
from engine.operators._prompts import fill
from engine.operators.generators._evol import read_scores
from engine.operators.generators._evol_prompts import BETTER, HARDER
from engine.operators.scorers._deita import COMPLEXITY, QUALITY
from engine.registry import operator
from engine.request import Answer

COMPLEX, QUALITATIVE = operator("generate", "evol_complexity"), operator("generate", "evol_quality")
PLACE = re.compile(r"^\[(Response )?(\d+)\]\n(.*)$", re.MULTILINE)


def right(places: list[tuple[str, str]]) -> str:
    """Every text's score is the number of its rewrites (a `+` each) and one more."""
    return "\n".join(f"[{place}] Score: {text.count('+') + 1}" for place, text in places)


@dataclass
class Stub:
    """Adds a `+` to what it is told to rewrite, and ranks by `reply`."""

    reply: Callable[[list[tuple[str, str]]], str] = right
    rewrite: Callable[[str], str] = lambda text: f" {text}+\n"
    evolved: list[str] = field(default_factory=list)
    ranked: list[str] = field(default_factory=list)
    draws: list[int] = field(default_factory=list)

    async def chat(self, messages, *, draw, sampling):  # noqa: ARG002
        (text,) = [m["content"] for m in messages]
        self.draws.append(draw)
        if "Score:" in text:
            self.ranked.append(text)
            return Answer(text=self.reply([(label + place, t) for label, place, t in PLACE.findall(text)]))
        self.evolved.append(text)
        return Answer(text=self.rewrite(text.rsplit(":\n", 1)[1]))


def evolve(op, model, *seeds, **params):
    """The rows of each seed."""
    ctx = FakeContext(17, model)
    rows = [
        {"row_id": f"r{i}", "instruction": seed, "response": f"an answer to {seed}"} for i, seed in enumerate(seeds)
    ]
    return [asyncio.run(op.fn(row, op.params(**params), ctx)) for row in rows]


def test_two_seeds_make_ten_rewrites_two_rankings_and_twelve_rows():
    model = Stub()
    chains = evolve(COMPLEX, model, "tea", "milk")
    assert (len(model.evolved), len(model.ranked)) == (10, 2)
    assert [len(chain) for chain in chains] == [6, 6]
    assert [asks.calls for asks in COMPLEX.asks_of(COMPLEX.params())] == [(5, 5), (1, 3)]
    assert len(set(model.draws)) == 12
    for seed, chain in zip(("tea", "milk"), chains, strict=True):
        assert [row["instruction"] for row in chain] == [seed + "+" * i for i in range(6)]
        assert [row["variant"] for row in chain] == list(range(6))
        assert [row["score"] for row in chain] == [1, 2, 3, 4, 5, 6]  # so the permutation is undone
        assert [row["completion"] for row in chain] == ["1", "2", "3", "4", "5", "6"]
        assert [row["prompt"] for row in chain] == [COMPLEXITY.format(instruction=r["instruction"]) for r in chain]
        assert {row["retries"] for row in chain} == {0}
        assert all(row.keys() == COMPLEX.writes_of(None, None).keys() for row in chain)


def test_the_order_of_the_prompt_is_shuffled_and_told():
    model = Stub()
    chains = evolve(COMPLEX, model, *"abcdefgh")
    for chain, asked in zip(chains, model.ranked, strict=True):
        shown = [text for _, _, text in PLACE.findall(asked)]
        assert [shown[row["position"]] for row in chain] == [row["instruction"] for row in chain]
    orders = [tuple(row["position"] for row in chain) for chain in chains]
    assert len(set(orders)) == 8
    assert evolve(COMPLEX, Stub(), *"abcdefgh") == chains


def test_each_round_s_operator_is_drawn_and_asked_for():
    model = Stub()
    chains = evolve(COMPLEX, model, *"abcdefgh")
    names = [row["evolution"] for chain in chains for row in chain[1:]]
    assert set(names) == set(HARDER)
    assert {chain[0]["evolution"] for chain in chains} == {None}
    assert all(HARDER[name] in asked for name, asked in zip(names, model.evolved, strict=True))


def test_a_quality_chain_keeps_the_instruction_and_rewrites_the_response():
    model = Stub()
    (chain,) = evolve(QUALITATIVE, model, "tea {response}")
    assert [row["instruction"] for row in chain] == ["tea {response}"] * 6
    assert [row["response"] for row in chain] == ["an answer to tea {response}" + "+" * i for i in range(6)]
    assert [row["score"] for row in chain] == [1, 2, 3, 4, 5, 6]
    assert [row["prompt"] for row in chain] == [
        QUALITY.format(instruction=row["instruction"], response=row["response"]) for row in chain
    ]
    assert "[Response 6]\n" in model.ranked[0]
    assert {row["evolution"] for row in chain} <= {None, *BETTER}
    assert chain[0].keys() == QUALITATIVE.writes_of(None, None).keys()


def test_a_ranking_that_can_not_be_read_is_asked_again_and_then_null():
    model = Stub(reply=lambda _: "They are all fine, about 3.")
    (chain,) = evolve(COMPLEX, model, "tea")
    assert len(model.ranked) == 3
    assert len(set(model.ranked)) == 3, "a greedy model must be asked another way"
    assert [(row["score"], row["completion"], row["retries"]) for row in chain] == [(None, None, 3)] * 6
    assert None not in [row["prompt"] for row in chain]


def test_a_later_ranking_counts_with_its_own_order():
    replies = iter(["no"])
    model = Stub(reply=lambda places: next(replies, None) or right(places))
    (chain,) = evolve(COMPLEX, model, "tea")
    assert [(row["score"], row["retries"]) for row in chain] == [(i + 1, 1) for i in range(6)]
    shown = [text for _, _, text in PLACE.findall(model.ranked[1])]
    assert [shown[row["position"]] for row in chain] == [row["instruction"] for row in chain]


@pytest.mark.parametrize(
    ("reply", "scores"),
    [
        ("[1] Score: 2\n[2] Score: 6", [2, 6]),
        ("Here:\n**[Response 2]** Score: 1 (poor)\n[Response 1] Score: 5", [5, 1]),
        ("[1] Score: 2", None),
        ("[1] Score: 2\n[2] Score: 7", None),
        ("[1] Score: 2\n[2] Score: 0", None),
        ("[1] Score: 2\n[2] Score: 3.5", None),
        ("[1] Score: 2\n[2] Score: 4/5", None),
        ("[1] Score: 2\n[2] Score: 3\n[2] Score: 4", None),
        ("[1] Score: 2\n[3] Score: 3", None),
        ("[1] Score:\n[2] Score: 3", None),
        ("", None),
    ],
)
def test_what_is_read_of_a_ranking(reply, scores):
    assert read_scores(reply, 2) == scores


def test_an_empty_rewrite_is_an_error_of_the_row():
    with pytest.raises(RowError, match=r"rewrite 1 of 5 \(\w+\) is empty"):
        evolve(COMPLEX, Stub(rewrite=lambda _: " \n"), "tea")


@pytest.mark.parametrize("op", [COMPLEX, QUALITATIVE])
def test_a_row_without_its_texts_makes_no_call(op):
    model = Stub()
    with pytest.raises(RowError, match="instruction is null or empty"):
        evolve(op, model, "")
    assert model.draws == []


def test_prompts_and_operators_of_one_s_own():
    model = Stub()
    evolve(
        COMPLEX, model, "tea", rounds=1, operators={"louder": "Shout."},
        evolve="{method} {unknown} :\n{instruction}", rank="{count} Score:\n{variants}",
    )  # fmt: skip
    assert model.evolved == ["Shout. {unknown} :\ntea"]
    assert model.ranked[0].startswith("2 Score:\n[1]\n")
    with pytest.raises(ValidationError, match=r"the prompt needs \{variants\}"):
        COMPLEX.params(rank="Rank them.")
    assert fill("{a} {b}", {"a": "{b}"}) == "{b} {b}"


SPEC = """
models:
  judge:
    use: scripted
    params:
      replies:
        - {match: "Below are 3 instructions[^$]*milk", reply: "I like them all."}
        - {match: "Below are", reply: "[1] Score: 1\\n[2] Score: 3\\n[3] Score: 5"}
        - {match: "The prompt:", reply: "a harder one"}
tables:
  seeds: {source: data.jsonl, params: {shape: raw}}
  evolved: {generate: evol_complexity, from: seeds, model: judge, params: {rounds: 2, retries: 1}}
  scored: {select: filter, from: evolved, params: {where: completion IS NOT NULL, reason: no_score}}
"""


def test_rows_without_a_score_are_kept_and_a_filter_drops_them(tmp_path):
    project = Project(tmp_path).data([{"instruction": "tea"}, {"instruction": "milk"}]).spec(SPEC)
    project.build()
    assert project.calls() == 2 * 2 + 1 + 2
    found = project.sql(
        "SELECT retries, list(completion ORDER BY completion) FROM evolved GROUP BY parent_id, retries ORDER BY retries"
    )
    assert found == [(0, ["1", "3", "5"]), (2, [None] * 3)]
    assert project.sql("SELECT count(*) FROM scored") == [(3,)]
