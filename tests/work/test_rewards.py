"""Rewards that a build gives: through the real bridge and the real server, by scorers of every form and by SQL."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager

import pyarrow as pa
import pytest
from fake_server import Fault
from project import Project

from engine.calls import Asker, Gate
from engine.ledger import Ledger
from engine.plan.rewards import answer_types
from engine.relation import Reader, Relation
from engine.schema import MESSAGES
from engine.stop import Stop
from engine.store import Store
from engine.work.answers import answer_rows
from engine.work.reward_bridge import ADDRESS, PASSWORD
from engine.work.reward_server import RewardServer, reward_command
from engine.work.rewards import NO_NUMBER, Rewards, read_log

SPEC = """
models:
  base: {use: embedded}
  judge: {use: JUDGE}
  vectors: {use: hashing, params: {dim: 8}}
  tuned:
    train: pama
    base: base
    data: asked
    params:
      rewards:
        - {name: liked, score: reward, model: judge}
        - {name: words, score: length, column: n_words}
        - {name: near, score: embedding, model: vectors, params: {normalize: false},
           columns: {text: response}, column: "embedding[1] + length(prompt)"}
        - {name: brief, sql: "1.0 / (1 + length(response))"}
        - {name: whole, sql: "CAST(response AS INTEGER)"}
tables:
  asked: {source: data.jsonl, params: {shape: raw}}
"""
WANTED = ["two", "more", "a"]
TEXTS = ["two words", "a", "three more words"]


class Bench:
    """The rewards of a planned training, and a trainer's end of the bridge to them."""

    def __init__(self, folder, judge="scripted"):
        rows = [{"prompt": "What?", "wanted": text} for text in WANTED]
        self.project = Project(folder).data(rows).spec(SPEC.replace("JUDGE", judge))
        self.project.build(selection="asked")
        self.plan = self.project.plan()
        self.ledger = Ledger(self.project.home)
        self.stop = Stop()
        self.log = folder / "rewards.jsonl"
        self.asker = Asker("trial", "tuned", "b", to_the_end=True)
        self.server = None

    @asynccontextmanager
    async def running(self):
        gates = {name: Gate(self.plan.backends[name], self.ledger, self.stop) for name in ("judge", "vectors")}
        given = (self.plan.steps["tuned"], self.source, 7, gates, self.asker, self.project.home, self.log)
        self.server = RewardServer(Rewards(*given))
        async with self.server.running() as environment:
            yield environment
        for gate in gates.values():
            await gate.close()

    @property
    def source(self):
        return Reader(Store(self.project.home), Relation(self.plan.steps["asked"].fingerprint))

    async def give(self, names, texts, *, environment):
        """What the trainer's command says of answers, and how it ends."""
        process = await asyncio.create_subprocess_exec(
            *reward_command(names)["command"], env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        lines = [json.dumps({"id": f"r{i}", "prompt": "What?", "response": text}) for i, text in enumerate(texts)]
        out, err = await process.communicate("".join(line + "\n" for line in lines).encode())
        answers = {said["id"]: said["rewards"] for said in map(json.loads, out.splitlines())}
        return [answers.get(f"r{i}") for i in range(len(texts))], process.returncode, err.decode()

    def ask(self, names, texts=TEXTS):
        async def main():
            async with self.running() as environment:
                found, code, err = await self.give(names, texts, environment=environment)
                assert (code, err) == (0, "")
                return found

        return asyncio.run(main())


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.ledger.close()


def test_every_form_of_scorer_gives_its_number(bench):
    found = bench.ask(["liked", "words", "near", "brief"])
    assert [rewards["words"] for rewards in found] == [2.0, 1.0, 3.0]
    assert [rewards["brief"] for rewards in found] == pytest.approx([1 / 10, 1 / 2, 1 / 17])
    vectors = asyncio.run(bench.plan.backends["vectors"].embed(TEXTS))
    assert [rewards["near"] for rewards in found] == pytest.approx([float(v) + 5 for v in vectors[:, 0]], abs=1e-6)
    liked = [rewards["liked"] for rewards in found]
    assert len({*liked}) == 3
    assert all(isinstance(value, float) for value in liked)


def test_a_reward_may_look_at_the_row_that_an_answer_answers_to(bench):
    text = SPEC.replace("1.0 / (1 + length(response))", "contains(response, wanted)").replace("JUDGE", "scripted")
    bench.plan = bench.project.spec(text.replace("column: n_words", "column: n_words - length(wanted)")).plan()
    rows = bench.source.table(["row_id", "wanted"]).to_pylist()
    asked = [{"id": row["row_id"], "prompt": "What?", "response": "two words"} for row in reversed(rows)]

    async def main():
        async with bench.running():
            return await bench.server._rewards.of([*asked, {**asked[0], "id": "unknown"}], ["brief", "words"])

    found = asyncio.run(main())
    assert [reward["brief"] for reward in found] == [*(float(row["wanted"] == "two") for row in reversed(rows)), None]
    assert [reward["words"] for reward in found] == [*(2 - len(row["wanted"]) for row in reversed(rows)), None]


def test_what_was_answered_is_not_asked_again_and_every_call_is_on_record(bench):
    first = bench.ask(["liked"])
    assert (bench.asker.tally.sent, bench.asker.tally.cached) == (3, 0)
    assert bench.ask(["liked"], [*TEXTS, "new"])[:3] == first
    assert (bench.asker.tally.sent, bench.asker.tally.cached) == (4, 3)
    calls = read_log(bench.log)["calls"]
    assert calls["row_id"].to_pylist() == ["r0", "r1", "r2", "r3"]
    assert len({*calls["call_id"].to_pylist()}) == 4


def test_rewards_of_two_commands_are_served_side_by_side(bench):
    async def main():
        async with bench.running() as environment:
            both = (bench.give([name], TEXTS * 200, environment=environment) for name in ("words", "brief"))
            return await asyncio.gather(*both)

    words, brief = asyncio.run(main())
    assert [rewards["words"] for rewards in words[0]] == [2.0, 1.0, 3.0] * 200
    assert [{*rewards} for rewards in brief[0]] == [{"brief"}] * 600


def test_an_answer_that_can_t_be_scored_has_null_and_a_reason_and_costs_no_other(bench):
    found = bench.ask(["whole", "words"], ["12", "a dozen", "7", ""])
    assert [rewards["whole"] for rewards in found] == [12.0, None, 7.0, None]
    assert [rewards["words"] for rewards in found] == [1.0, 2.0, 1.0, 0.0]
    errors = dict(zip(*read_log(bench.log)["errors"].select(["row_id", "error"]).to_pydict().values(), strict=True))
    assert errors["r1"].startswith("whole: Could not convert string 'a dozen' to INT32")
    assert set(errors) == {"r1", "r3"}


def test_a_number_that_is_none_is_null(bench):
    text = SPEC.replace("1.0 / (1 + length(response))", "if(length(response) > 1, 0.0, 'nan'::DOUBLE)").replace(
        "JUDGE", "scripted"
    )
    bench.plan = bench.project.spec(text).plan()
    assert bench.ask(["brief"], ["ab", "a"]) == [{"brief": 0.0}, {"brief": None}]
    (error,) = read_log(bench.log)["errors"]["error"].to_pylist()
    assert error == f"brief: {NO_NUMBER}"


def test_a_failed_call_costs_its_answer_only_and_is_asked_again(tmp_path, fake_server):
    judge = 'openai, model: m, base_url: "%s", api_key: k, params: {max_attempts: 1, patience_s: 1}'
    server = fake_server(lambda hit: Fault(status=400) if b"three more" in hit.raw else None)
    text = SPEC.replace("JUDGE", judge % server.url).replace(
        "score: reward, model: judge",
        "score: embedding, model: judge, columns: {text: response}, column: 'embedding[1]'",
    )
    bench = Bench(tmp_path)
    bench.plan = bench.project.spec(text).plan()
    found = bench.ask(["liked", "words"])
    assert [rewards["liked"] is None for rewards in found] == [False, False, True]
    assert [rewards["words"] for rewards in found] == [2.0, 1.0, 3.0]
    (error,) = read_log(bench.log)["errors"]["error"].to_pylist()
    assert error.startswith("liked: ")
    assert "400" in error
    before = len(server.hits)
    bench.ask(["liked"])
    assert len(server.hits) > before, "a failure is no answer"
    bench.ledger.close()


def test_a_build_that_is_told_to_stop_still_ends_the_trainer_s_step(bench):
    bench.stop.requested = True
    assert all(rewards["liked"] is not None for rewards in bench.ask(["liked"]))


def test_who_does_not_know_the_password_is_told_nothing(bench):
    async def main():
        async with bench.running() as environment:
            known = await bench.give(["words"], ["a"], environment=environment)
            strange = await bench.give(["words"], ["a"], environment={**environment, PASSWORD: "guess"})
            return known[0], strange[0]

    assert asyncio.run(main()) == ([{"words": 1.0}], [None])
    assert bench.server.failure is None


def test_what_goes_wrong_with_the_server_itself_is_told_to_the_build(bench):
    async def main():
        async with bench.running() as environment:
            return await bench.give(["unheard_of"], ["a"], environment=environment)

    found, code, _ = asyncio.run(main())
    assert (found, code) == ([None], 0)
    assert "unheard_of" in str(bench.server.failure)


def test_the_bridge_without_a_build_says_what_is_missing():
    clean = {name: value for name, value in os.environ.items() if name not in (ADDRESS, PASSWORD)}
    command = [sys.executable, "-m", "engine.work.reward_bridge", "x"]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "only a build that runs gives these rewards" in done.stderr
    done = subprocess.run(command, env={**clean, ADDRESS: "127.0.0.1:9"}, capture_output=True, text=True, check=False)
    assert (done.returncode, "can't be reached" in done.stderr) == (1, True)


def test_the_bridge_imports_nothing_heavy():
    code = (
        "import sys, engine.work.reward_bridge\n"
        "print([m for m in ('pyarrow', 'numpy', 'duckdb', 'pydantic', 'aiohttp', 'asyncio') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_an_answer_to_a_conversation_is_its_next_turn():
    talk = [
        {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi", "name": "Al"},
        {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "And now?"},
    ]  # fmt: skip
    (row,) = answer_rows([{"id": "r", "prompt": talk, "response": "Bye."}], answer_types(MESSAGES)).to_pylist()
    turns = [{"role": turn["role"], "content": turn["content"]} for turn in talk]
    assert row == {
        "row_id": "r", "instruction": "Hi", "response": "Bye.", "prompt": turns,
        "messages": [*turns, {"role": "assistant", "content": "Bye."}],
    }  # fmt: skip
    (row,) = answer_rows([{"id": "r", "prompt": talk, "response": "Bye."}], answer_types(pa.string())).to_pylist()
    assert row["prompt"] is None
