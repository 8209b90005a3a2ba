"""`use: openai` against a real vLLM that serves the embedded model, beside the same weights in this process.

What a fake server can't show: that vLLM takes what is sent, and means by its answers what they are taken for.
"""

from __future__ import annotations

import asyncio
from itertools import product

import pytest
from backend_life import run
from project import Project
from real_vllm import serve

from engine.model import ModelConfig
from engine.models.embedded import WEIGHTS
from engine.registry import backend
from engine.request import Generate, LogLikelihood, NextToken, ReplyLogLikelihood, Sampling

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("vllm")]

CLOSE = 1e-3
SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
HOT = Sampling(temperature=1.0, max_tokens=40, stop=("<|end|>", "<|user|>"))
DRAWS = (*range(8), 2**63 - 1)
ASKED = (
    "Name three fruits.",
    "What is 7 plus 5?",
    "Which word comes first in the alphabet: pear or fig?",
    "Write a short story about a fox in the snow.",
    "Tell me, in caf\u00e9 style:\n- one drink\n- one cake",
)
REPLIES = ("Apples, pears and plums.", "12", "I can't say \u4f60\u597d \U0001f98a.", "  A fox  saw\nthe snow. ")
MODELS = """
models:
  served: {use: openai, model: served, base_url: URL, params: {tokenizer: WEIGHTS}}
  here: {use: transformers, model: WEIGHTS, params: {dtype: float32}}
tables:
"""
SCORED = """
  talks:
    source: data.jsonl
    params: {shape: raw}
    scores:
      - {score: deita_complexity, model: MODEL, params: {template: FORM}}
      - {score: deita_quality, model: MODEL, params: {template: FORM}}
"""
POOL = """
  pool:
    generate: magpie
    model: served
    params: {rows: 24, max_tokens: 60, n_responses: 2, response_temperature: 1.0}
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A server that has been asked once: its first log-probabilities take it half a minute."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("no_proxy", "127.0.0.1")
        with serve(WEIGHTS, tmp_path_factory.mktemp("vllm") / "server.log") as address:
            answers(served(address), NextToken(("1", "2"), prompt="x"))
            yield address


def served(url):
    kind = backend("openai")
    return kind(ModelConfig("served", model="served", base_url=url, params=kind.Params(tokenizer=str(WEIGHTS))))


def here():
    kind = backend("transformers")
    return kind(ModelConfig("here", model=str(WEIGHTS), params=kind.Params(dtype="float32")))


def answers(model, *requests):
    return run(model, lambda m: asyncio.gather(*map(m.answer, requests)))


def spec(project, url, tables):
    return project.spec((MODELS + tables).replace("URL", url).replace("WEIGHTS", str(WEIGHTS)))


def turn(asked, reply):
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": reply}]


@pytest.mark.parametrize("form", ["deita", "chat"])
def test_deita_scores_are_those_of_the_weights_in_this_process(url, tmp_path, form):
    turns = [turn(*pair) for pair in product(ASKED, REPLIES)]
    talks = [*turns, turns[0] + turns[6], turns[3] + turns[9][:1]]
    built = Project(tmp_path).data([{"messages": talk} for talk in talks])
    tables = [SCORED.replace("MODEL", model).replace("FORM", form) for model in ("served", "here")]
    there, mine = (scores(spec(built, url, table)) for table in tables)
    assert [len(row) for row in there] == [len(row) for row in mine]
    assert len({tuple(row) for row in mine}) == 22
    for row, expected in zip(there, mine, strict=True):
        assert row == pytest.approx(expected, abs=CLOSE)


def scores(project):
    """Of each row: the two scores, their digits' mass, and the scores of every turn."""
    assert project.build().exit_code == 0
    numbers = "[complexity, quality, complexity_digit_mass, quality_digit_mass] || complexity_scores || quality_scores"
    return [row for (row,) in project.sql(f"SELECT {numbers} FROM talks ORDER BY row_id")]


def test_candidates_have_their_share_of_the_whole_vocabulary(url):
    """Far below the twenty most likely, too."""
    candidates = ("1", "6", "<|user|>", "z", " the")
    talk = ({"role": "user", "content": ASKED[0]},)
    asked = [NextToken(candidates, prompt=text) for text in ASKED] + [NextToken(candidates, messages=talk)]
    for there, mine in zip(answers(served(url), *asked), answers(here(), *asked), strict=True):
        assert there.logprobs == pytest.approx(mine.logprobs, abs=CLOSE)
    assert min(mine.logprobs.values()) < -10


def test_log_likelihoods_are_those_of_the_weights_in_this_process(url):
    asked = [LogLikelihood(f"{q} Answer:", f" {a}") for q, a in product(ASKED, REPLIES)]
    asked += [LogLikelihood(f"<|user|>{q}<|end|><|assistant|>", f"{a}<|end|>") for q, a in product(ASKED, REPLIES)]
    asked += [LogLikelihood("One\n\n", "two")]
    asked += [ReplyLogLikelihood(tuple(turn(*pair))) for pair in product(ASKED, REPLIES)]
    for request, there, mine in zip(asked, answers(served(url), *asked), answers(here(), *asked), strict=True):
        assert (there.value, there.tokens_out) == (pytest.approx(mine.value, abs=CLOSE), mine.tokens_out), request


def test_a_draw_is_the_servers_seed(url):
    async def one_by_one(model):
        return [(await model.answer(Generate("<|user|>", HOT, draw))).text for draw in (*DRAWS, *DRAWS)]

    texts = run(served(url), one_by_one)
    assert texts[:9] == texts[9:]
    assert len(set(texts)) > 5


def test_magpie_builds_its_table_out_of_raw_completions(url, tmp_path):
    built = spec(Project(tmp_path), url, POOL)
    assert built.build().exit_code == 0
    table = pool(built)
    assert [row["pre_query_template"] for row in table] == ["<|user|>"] * 24
    assert len({row["instruction"] for row in table}) > 12
    assert any(len(set(row["responses"])) == 2 for row in table)
    assert {row["finish_reason"] for row in table} <= {"stop", "length"}
    texts = [text for row in table for text in (row["instruction"], *row["responses"])]
    assert not any(marker in text for text in texts for marker in SPECIAL)

    for part in (built.home / "objects").glob("*/*.*"):
        part.unlink()
    assert sum(step["calls_sent"] for step in built.build().steps) == 0
    assert pool(built) == table


def pool(project):
    return [row for (row,) in project.sql("SELECT pool FROM pool ORDER BY row_id")]
